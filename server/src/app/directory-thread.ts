import { parentPort, workerData } from 'node:worker_threads';
import { listOwners } from '../auth/binding-store.ts';
import type { Leaver } from '../auth/standing.ts';
import { openDatabase } from '../db/database.ts';
import { directorySettingsOf, guardSettingsOf } from '../directory/configured.ts';
import { createNumbers } from '../directory/numbers/numbers.ts';
import { createRounds } from '../directory/publish/rounds.ts';
import type { FromThread, ThreadStart, ToThread } from '../directory/publish/thread-messages.ts';
import { createSudoRules } from '../directory/rules/service.ts';
import { createEventAppender } from '../events/log.ts';
import { listHosts } from '../hosts/store.ts';
import { createSnapshotBuilder } from '../ldap/snapshot/build-snapshot.ts';
import { systemRandom } from '../platform/random.ts';
import { createSource } from './directory-source.ts';

/** The directory's thread: everything between a source and a snapshot, on a database connection of its own. */

const port = parentPort!;
const { config, storage, ...start } = workerData as ThreadStart;
let { snapshots } = start;
const send = (message: FromThread): void => port.postMessage(message);

let clockOffset = 0;
const clock = { now: () => Date.now() + clockOffset };
let generation = 0;
const stopping = new AbortController();
const asked = new Map<number, { resolve(): void; reject(error: Error): void }>();
let questions = 0;

const db = await openDatabase({ ...config.database, maxConnections: 2 });
const events = createEventAppender({ db, clock, onAppended: () => send({ kind: 'wrote' }), onError: () => {} });
const ldap = config.ldap!;
const settings = directorySettingsOf(config, ldap);
const activeHosts = async () => (await listHosts(db.query)).filter(({ state }) => state === 'active');

const rounds = createRounds({
  db,
  events,
  clock,
  random: systemRandom,
  settings,
  guards: guardSettingsOf(config, ldap),
  source: (await createSource({ config, clock, db })).source,
  numbers: createNumbers({
    db,
    events,
    clock,
    settings,
    mapFile: ldap.uidMapFile,
    acceptLoss: ldap.uidMapInit === 'force',
  }),
  storedRules: createSudoRules({
    db,
    events,
    clock,
    random: systemRandom,
    settings: settings.sudo,
    syntax: { groups: config.sudoRules.groupSyntax, reserved: settings.names.reserved },
    hostNames: async () => (await activeHosts()).map(({ hostname }) => hostname),
  }).storedRules,
  hosts: async () => (await activeHosts()).map(({ id, hostname, host_group }) => ({ id, hostname, group: host_group })),
  pinned: async () =>
    new Map((await listOwners(db.query)).map(({ account, issuer, subject }) => [account, { issuer, subject }])),
  macKey: storage,
  publish(entries, usn) {
    const builder = createSnapshotBuilder({ baseDn: settings.baseDn, generation, lastUsn: usn });
    for (const entry of entries) builder.add(entry);
    snapshots.postMessage(builder.finish());
  },
  onLeft: (leavers) => (leavers.length === 0 ? Promise.resolve() : tell(leavers)),
  signal: stopping.signal,
});

/** Resolves when the server has ended the sessions of these people. */
function tell(leavers: readonly Leaver[]): Promise<void> {
  const id = ++questions;
  return new Promise((resolve, reject) => {
    asked.set(id, { resolve, reject });
    send({ kind: 'leavers', id, leavers });
  });
}

async function answer(id: number, work: () => Promise<FromThread>): Promise<void> {
  try {
    send(await work());
  } catch (error) {
    if (!stopping.signal.aborted) send({ kind: 'failed', id, message: String(error) });
  }
}

port.on('message', (message: ToThread) => {
  switch (message.kind) {
    case 'run':
      ({ generation, clockOffset } = message);
      void answer(message.id, async () => ({
        kind: 'report',
        id: message.id,
        report: await rounds.run(message.request),
      }));
      break;
    case 'groupsOf':
      void answer(message.id, async () => ({
        kind: 'groups',
        id: message.id,
        groups: await rounds.groupsOf(message.account),
      }));
      break;
    case 'snapshots':
      snapshots.close();
      snapshots = message.port;
      break;
    case 'left': {
      const one = asked.get(message.id);
      asked.delete(message.id);
      if (message.ok) one?.resolve();
      else one?.reject(new Error('the sessions of who left could not be ended'));
      break;
    }
    default:
      stopping.abort();
      snapshots.close();
      void db.close().finally(() => port.close());
  }
});
