import { parentPort, workerData } from 'node:worker_threads';
import { createAccounts } from '../auth/accounts.ts';
import { openDatabase } from '../db/database.ts';
import { accountNameInSmallLetters, accountNameOf, guardSettingsOf } from '../directory/configured.ts';
import { localPowerOf } from '../directory/guards/local-power.ts';
import { createParts } from '../directory/parts.ts';
import { createRounds } from '../directory/publish/rounds.ts';
import type {
  FromThread,
  ServerCalls,
  ThreadCalls,
  ThreadStart,
  ToThread,
} from '../directory/publish/thread-messages.ts';
import { createEventAppender } from '../events/log.ts';
import { createReportReader } from '../hosts/reports.ts';
import { admitToDirectory, listHosts } from '../hosts/store.ts';
import { createSnapshotBuilder } from '../ldap/snapshot/build-snapshot.ts';
import { createPortAnswers, createPortCaller } from '../platform/port-calls.ts';
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

const db = await openDatabase({ ...config.database, maxConnections: 2 });
const events = createEventAppender({ db, clock, onAppended: () => send({ kind: 'wrote' }), onError: () => {} });
const ldap = config.ldap!;
const accounts = createAccounts({
  config,
  accountNameOf: accountNameOf(config),
  accountNameLike: accountNameInSmallLetters(config),
});
const activeHosts = async () => (await listHosts(db.query)).filter(({ state }) => state === 'active');
const hostNames = async () => (await activeHosts()).map(({ hostname }) => hostname);
const parts = createParts({ config, ldap, db, events, clock, random: systemRandom, hostNames });
const { settings, numbers, rules } = parts;

const readReports = createReportReader(db.query);
const server = createPortCaller<ServerCalls>({ send });
const rounds = createRounds({
  db,
  events,
  clock,
  random: systemRandom,
  settings,
  guards: guardSettingsOf(config, ldap),
  source: (await createSource({ config, clock, db })).source,
  numbers,
  storedRules: rules.storedRules,
  hosts: async () =>
    (await activeHosts()).map(({ id, hostname, host_group, report_due, reached }) => ({
      id,
      hostname,
      group: host_group,
      isNew: reached === 0,
      silent: report_due === 1,
      waits: report_due === 2,
    })),
  admitHosts: admitToDirectory,
  async hostPower() {
    // One in quarantine comes back as it was, and asks nobody then: what it gives has to count on.
    const enrolled = (await listHosts(db.query)).filter(({ state }) => state !== 'revoked');
    const names = new Map(enrolled.map(({ id, hostname }) => [id, hostname]));
    return (await readReports()).flatMap(({ hostId, digest, report }) => {
      const hostname = names.get(hostId);
      return hostname === undefined
        ? []
        : [{ hostId, hostname, digest, power: localPowerOf(report), grants: report.grants }];
    });
  },
  pinned: () => accounts.pinned(db.query),
  macKey: storage,
  publish(entries, usn) {
    const builder = createSnapshotBuilder({ baseDn: settings.baseDn, generation, lastUsn: usn });
    for (const entry of entries) builder.add(entry);
    snapshots.postMessage(builder.finish());
  },
  async onLeft(leavers) {
    if (leavers.length > 0) await server.call('endSessions', leavers);
  },
  signal: stopping.signal,
});

const answer = createPortAnswers<ThreadCalls>({
  send,
  ours: {
    run(request, number, offset) {
      generation = number;
      clockOffset = offset;
      return rounds.run(request);
    },
    groupsOf: rounds.groupsOf,
  },
});

port.on('message', (message: ToThread) => {
  switch (message.kind) {
    case 'snapshots':
      snapshots.close();
      snapshots = message.port;
      break;
    case 'call':
      answer(message);
      break;
    case 'answer':
      server.receive(message);
      break;
    default:
      stopping.abort();
      snapshots.close();
      void db.close().finally(() => port.close());
  }
});
