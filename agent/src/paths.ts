import { join } from 'node:path';

/** Where the agent finds its files. Only flags change these, never the environment: sudo hands us a hostile one. */
export interface Paths {
  /** /etc/identree/client.conf */
  config: string;
  /** /var/lib/identree */
  state: string;
  /** /run/identree/agent.sock */
  socket: string;
}

export const DEFAULT_PATHS: Paths = {
  config: '/etc/identree/client.conf',
  state: '/var/lib/identree',
  socket: '/run/identree/agent.sock',
};

/** File names inside the state folder. */
export const stateFiles = (state: string) => ({
  identity: join(state, 'identity.json'),
  apiKey: join(state, 'api-key.pem'),
  trust: join(state, 'trust.json'),
  approverKeys: join(state, 'approver-keys.jws'),
  counter: join(state, 'counter'),
  lock: join(state, 'counter.lock'),
  certificateLock: join(state, 'certificate.lock'),
  /** What the last attempt to renew the certificate came to. */
  renewal: join(state, 'renewal.json'),
  /** Which authorities came with the certificate. */
  authorities: join(state, 'authorities.json'),
  /** The directory that `setup --sssd` was run for. */
  directory: join(state, 'directory.json'),
  /** Settings that the server told. */
  clientDefaults: join(state, 'client-defaults.json'),
  checkpoint: join(state, 'checkpoint.json'),
  health: join(state, 'health.json'),
  machineId: join(state, 'machine-id'),
  backup: join(state, 'backup'),
  handover: join(state, 'handover'),
  /** Wrong break-glass passwords, counted. */
  breakGlassAttempts: join(state, 'break-glass-attempts.json'),
  breakGlassAttemptsLock: join(state, 'break-glass-attempts.lock'),
  /** What was done with break-glass passwords, and up to where the server knows it. */
  breakGlassJournal: join(state, 'break-glass.journal'),
  breakGlassCursor: join(state, 'break-glass.reported'),
  breakGlassJournalLock: join(state, 'break-glass-journal.lock'),
  /** What was run by offline grants, and up to where the server knows it. */
  grantJournal: join(state, 'offline-grants.journal'),
  grantCursor: join(state, 'offline-grants.reported'),
  grantJournalLock: join(state, 'offline-grants-journal.lock'),
  /** One password is made at a time. */
  breakGlassRotationLock: join(state, 'break-glass-rotation.lock'),
});

/**
 * Where the client certificate and its key are, one folder for each, with a link to the current one. Not below the
 * state folder, which only root may enter: some distributions run sssd as an account of its own.
 */
export const certificateFolder = (state: string): string =>
  state === DEFAULT_PATHS.state ? '/etc/identree/tls' : join(state, 'tls');
