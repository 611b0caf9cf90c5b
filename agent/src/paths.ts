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
  tlsKey: join(state, 'tls.key'),
  tlsCertificate: join(state, 'tls.crt'),
  caBundle: join(state, 'ca.pem'),
  trust: join(state, 'trust.json'),
  approverKeys: join(state, 'approver-keys.jws'),
  counter: join(state, 'counter'),
  lock: join(state, 'counter.lock'),
  checkpoint: join(state, 'checkpoint.json'),
  health: join(state, 'health.json'),
  machineId: join(state, 'machine-id'),
  backup: join(state, 'backup'),
  handover: join(state, 'handover'),
});
