import type { Logger } from 'pino';
import type { LogKey } from '#shared/log-head.ts';
import { tokenType } from '#shared/token.ts';
import { signForRoot } from '#shared/trust-root.ts';
import { createCertificateAuthority, makeCaCertificate } from '../certificates/authority.ts';
import type { Config } from '../config/config.ts';
import { type Database, openDatabase } from '../db/database.ts';
import { checkTogether, claimInstallation, noteVersion } from '../db/installation.ts';
import { claimFile } from '../db/sole-server.ts';
import { DatabaseTrouble, type TroubleKind } from '../db/trouble.ts';
import { createLogHeads } from '../events/heads.ts';
import { createEventLog, type EventLog } from '../events/log.ts';
import { claimLogKey, isLogKeyNamed } from '../events/log-key.ts';
import { createCaRotation } from '../hosts/ca-rotation.ts';
import { createHostService } from '../hosts/service.ts';
import { createApproverKeys } from '../passkeys/approver-keys.ts';
import { checkDetached } from '../passkeys/off-line-root.ts';
import { relyingPartyOf } from '../passkeys/relying-party.ts';
import { type Clock, systemClock } from '../platform/clock.ts';
import { findKeys, keysAreClaimed, loadServerKeys } from '../platform/keys.ts';
import { createLogger, leaveOut } from '../platform/logger.ts';
import type { Ground } from '../platform/module.ts';
import { type Random, systemRandom } from '../platform/random.ts';
import { createUnreadableRows } from '../platform/unreadable.ts';
import { VERSION } from '../version.ts';

export type Core = Awaited<ReturnType<typeof coreOn>> & {
  /** Ends what reads the event log, and closes the database. */
  close(): Promise<void>;
};

export interface CoreOptions {
  clock?: Clock;
  random?: Random;
  log?: Logger;
  /**
   * For a server: it brings the schema of the database up to date, and is the only one on an SQLite file. Commands work
   * beside it.
   */
  serves?: boolean;
  /** An operator answers for it that the event log goes on, also with another key where the one of before is lost. */
  takesNewLogKey?: boolean;
}

const seconds = (ms: number): string => (ms < 10_000 ? (ms / 1000).toFixed(1) : String(Math.round(ms / 1000)));

const TROUBLE_ENDS: Record<TroubleKind, string> = {
  away: 'it answers',
  busy: 'nobody holds it up any more',
  full: 'there is room',
  read_only: 'it may be written',
  damaged: 'it can be read',
};

/** Everything that works without a listener: also what the command line uses beside a running server. */
export async function createCore(config: Config, options: CoreOptions = {}): Promise<Core> {
  const { clock = systemClock, random = systemRandom, log = createLogger(config.logLevel) } = options;
  const { serves = false, takesNewLogKey = false } = options;
  const isFile = config.database.driver === 'sqlite';
  const letGo = serves && isFile ? claimFile(config.database.dsn, clock.now()) : () => {};
  let db: Database | null = null;
  let events: EventLog | null = null;
  /** Until then, what is wrong ends the start and is told for that. */
  let opened = false;
  /** What reads ends first: the database is not to go while it is read. */
  const close = async (): Promise<void> => {
    await events?.close();
    await db?.close();
    letGo();
  };
  try {
    db = await openDatabase(
      config.database,
      {
        // Not as an error: where in the program it was noticed first helps nobody.
        begins: ({ kind, message }) => opened && log.error({ database: kind }, message),
        ends: (kind, ms) =>
          log.warn({ database: kind }, `the database is back after ${seconds(ms)} s: ${TROUBLE_ENDS[kind]}`),
      },
      serves ? 'migrate' : 'create',
    );
    opened = true;
    leaveOut(log, db.isTold);
    await checkTogether(db, await findKeys(config.keysDir), config);
    const keys = await loadServerKeys(config.keysDir, {
      evaluation: config.evaluation,
      makeCa: (pem) => makeCaCertificate(pem, clock.now()),
      lostLogKey: takesNewLogKey || !(await isLogKeyNamed(db)) ? 'make' : serves ? 'refuse' : 'do without',
    });
    const unreadable = createUnreadableRows(log);
    events = await createEventLog({
      db,
      clock,
      onError(err) {
        if (!(err instanceof DatabaseTrouble)) log.error({ err }, 'event reader failed');
      },
      onUnreadable: ({ seq }) =>
        unreadable.report('events', {
          id: String(seq),
          cause: new Error('its time is none, or its data is no JSON object'),
        }),
    });
    const core = await coreOn({ config, clock, random, log, keys, db, events, unreadable });
    await keysAreClaimed(config.keysDir);
    if (serves) await noteVersion(db, VERSION);
    return { ...core, close };
  } catch (error) {
    // An open database would keep a process alive that has said why it cannot start.
    await close();
    throw error;
  }
}

async function coreOn(ground: Ground) {
  const { config, clock, log, keys, db, events } = ground;
  const { serverId, trustRoot, verdict } = keys;
  await claimInstallation(db, { serverId, trustRoot: trustRoot.kid, evaluation: keys.evaluation }, async (work) => {
    await events.append(work, {
      event: 'server_initialized',
      username: '',
      data: { serverId, trustRoot: trustRoot.kid },
    });
  });

  await checkDetached(ground);
  const logKeyProblem = await claimLogKey(db, events, keys.log.kid);
  const heads = createLogHeads({
    ...ground,
    serverId,
    trustRoot: trustRoot.public,
    key: keys.log,
    keyToken: await signForRoot(
      tokenType.logKey,
      { v: 1, iss: serverId, key: keys.log.public, issuedAt: clock.now() } satisfies LogKey,
      trustRoot.signer,
    ),
    onError: (err) => log.error({ err }, 'no head of the event log could be signed'),
  });

  const rp = relyingPartyOf(config);
  const approverKeys = createApproverKeys({
    ...ground,
    serverId,
    rp,
    trustRoot,
  });
  await approverKeys.ensure();

  const ca = createCertificateAuthority({ ca: keys.ca, now: clock.now, hostTtlMs: config.certificateTtlMs });
  const caRotation = createCaRotation({
    ...ground,
    ca,
    makeCa: (keyPem) => makeCaCertificate(keyPem, clock.now()),
  });
  await caRotation.reload();
  const hosts = createHostService({
    ...ground,
    serverId,
    externalUrl: config.externalUrl,
    trustRoot: trustRoot.public,
    verificationKeys: [verdict.public],
    ca,
    caProblem: caRotation.problem,
    signGrant: (grant) => signForRoot(tokenType.enrolment, grant, trustRoot.signer),
    signCertificateGrant: (grant) => signForRoot(tokenType.certificate, grant, trustRoot.signer),
    currentKeys: approverKeys.current,
    sharedSecret: config.sharedSecret,
    autoConfirm: config.enrolmentAutoConfirm,
  });

  return {
    ...ground,
    rp,
    approverKeys,
    ca,
    caRotation,
    hosts,
    heads,
    /** Why this server may not sign heads of the log; null when it may. */
    logKeyProblem,
    /** What hosts and auditors pin. */
    trust: { serverId, trustRoot: trustRoot.public, verificationKeys: [verdict.public] },
  };
}
