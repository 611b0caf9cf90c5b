import { connect as connectTls } from 'node:tls';
import { element } from '../../server/src/ldap/ber/writer.ts';
import { OID, RESULT } from '../../server/src/ldap/protocol/operation.ts';
import { costlyBind, costlySearches } from '../../server/src/ldap/testing/costly-requests.ts';
import { randomFrom } from '../../server/src/ldap/testing/long.ts';
import { abandon, bind, extended, filterElement, readAnswers, search } from '../../server/src/ldap/testing/messages.ts';
import { mutateOften } from '../../server/src/ldap/testing/mutate.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import { VALID_MESSAGES } from '../../server/src/ldap/testing/valid-messages.ts';
import { dial, type HostileClient } from './client.ts';
import type { Attack } from './messages.ts';

/** What somebody does who wants the server to stop serving others. Each returns what it has seen. */

type Counts = Record<string, number>;

const SERVICE = `cn=sssd,${BASE}`;
const pause = (milliseconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, milliseconds));
const everything = (id: number): Buffer => search(id, { base: BASE });
const lookup = (id: number): Buffer =>
  search(id, { base: `ou=people,${BASE}`, filter: `(uid=u00${String(id % 3000).padStart(4, '0')})` });

/** The same thing in several lanes at once, each from an address of its own, until time is up. */
async function inLanes({ seconds }: Attack, lanes: number, work: (lane: number) => Promise<void>): Promise<void> {
  const end = performance.now() + seconds * 1000;
  await Promise.all(
    Array.from({ length: lanes }, async (_, lane) => {
      while (performance.now() < end) await work(lane);
    }),
  );
}

function noteCode(counts: Counts, { results }: HostileClient): void {
  for (const { id, code } of results) {
    const name = id === 0 ? `notice ${code}` : `code ${code}`;
    counts[name] = (counts[name] ?? 0) + 1;
  }
}

/** Mutants of well-formed messages. */
async function fuzz(attack: Attack, counts: Counts): Promise<void> {
  const random = randomFrom(attack.seed);
  await inLanes(attack, 12, async (lane) => {
    const client = await dial(attack.port, lane);
    if (client === null) return;
    for (let i = 0; i < 40 && !client.closed; i++) {
      const mutants = Array.from({ length: 1 + random.int(4) }, () => {
        if (random.int(10) === 0) return Buffer.from(Array.from({ length: random.int(60) }, () => random.int(256)));
        return mutateOften(random, random.pick(VALID_MESSAGES));
      });
      counts.mutants = (counts.mutants ?? 0) + mutants.length;
      client.socket.write(Buffer.concat(mutants));
      await pause(random.int(2));
    }
    await pause(5);
    if (client.closed) counts.closed = (counts.closed ?? 0) + 1;
    noteCode(counts, client);
    client.socket.destroy();
  });
}

/** Messages that come octet by octet, and enumerations whose answer nobody reads, for as long as they are let. */
async function linger(attack: Attack, counts: Counts): Promise<void> {
  const slow: { client: HostileClient; since: number }[] = [];
  const deaf: HostileClient[] = [];
  for (let n = 0; n < 400; n++) {
    const client = await dial(attack.port, 300 + (n % 20));
    if (client !== null) slow.push({ client, since: performance.now() });
  }
  for (let n = 0; n < 200; n++) {
    const client = await dial(attack.port, 330 + (n % 10), { read: false });
    if (client === null) continue;
    client.socket.write(Buffer.concat([everything(1), everything(2), everything(3)]));
    deaf.push(client);
  }
  counts.slow = slow.length;
  counts.deaf = deaf.length;
  counts.oldest = 0;
  // As large a message as a stranger may send.
  for (const { client } of slow) client.socket.write(Buffer.from('3082ea60020101', 'hex'));
  const end = performance.now() + attack.seconds * 1000;
  const isOver = () => slow.every(({ client }) => client.closed) || performance.now() > end + 60_000;
  while (performance.now() < end || !isOver()) {
    await pause(1000);
    for (const { client } of slow) if (!client.closed) client.socket.write(Buffer.of(0x63));
    for (const { client, since } of slow) {
      if (!client.closed) counts.oldest = Math.max(counts.oldest, Math.round((performance.now() - since) / 1000));
    }
  }
  counts.slowClosed = slow.filter(({ client }) => client.closed).length;
  counts.deafClosed = deaf.filter(({ closed }) => closed).length;
  for (const { client } of slow) client.socket.destroy();
  for (const client of deaf) client.socket.destroy();
}

/** 9,000 requests in one piece. */
async function pipelined(attack: Attack, counts: Counts): Promise<void> {
  const requests = Buffer.concat(Array.from({ length: 9000 }, (_, i) => lookup(i + 1)));
  await inLanes(attack, 4, async (lane) => {
    const client = await dial(attack.port, 20 + lane);
    if (client === null) return;
    client.socket.write(requests);
    const isAnswered = await client.until(() => client.results.length >= 9000, 60_000);
    const ids = new Set(client.results.map(({ id }) => id));
    counts.rounds = (counts.rounds ?? 0) + 1;
    counts.complete = (counts.complete ?? 0) + (isAnswered && ids.size === 9000 ? 1 : 0);
    noteCode(counts, client);
    client.socket.destroy();
  });
}

/** A message that announces a gigabyte, and the beginning of it. */
async function gigabyte(attack: Attack, counts: Counts): Promise<void> {
  const filler = Buffer.alloc(1 << 20);
  await inLanes(attack, 6, async (lane) => {
    const client = await dial(attack.port, 30 + lane);
    if (client === null) return;
    client.socket.write(Buffer.from('308440000000', 'hex'));
    for (let i = 0; i < 8 && !client.closed; i++) {
      client.socket.write(filler);
      await pause(1);
    }
    counts.tried = (counts.tried ?? 0) + 1;
    if (await client.over(5000)) counts.closed = (counts.closed ?? 0) + 1;
    noteCode(counts, client);
    client.socket.destroy();
  });
}

/** What other protocols say first. */
async function otherProtocols(attack: Attack, counts: Counts): Promise<void> {
  const greetings = [
    '16030100c2010000be0303',
    '474554202f20485454502f312e310d0a0d0a',
    '0300002f2ae00000000000',
    '53534820322e30',
    '3080020101',
    '3085ffffffffff',
    'ffffffffffff',
  ].map((hex) => Buffer.from(hex, 'hex'));
  await inLanes(attack, 8, async (lane) => {
    for (const greeting of greetings) {
      const client = await dial(attack.port, 40 + lane);
      if (client === null) continue;
      client.socket.write(greeting);
      counts.tried = (counts.tried ?? 0) + 1;
      if (await client.over(5000)) counts.closed = (counts.closed ?? 0) + 1;
      counts.answered = (counts.answered ?? 0) + client.results.length;
      client.socket.destroy();
    }
  });
}

/** A bind and a search in clear text, in the same piece as the request to start TLS. */
async function plaintextBehindStartTls(attack: Attack, counts: Counts): Promise<void> {
  await inLanes(attack, 4, async (lane) => {
    const client = await dial(attack.port, 50 + lane);
    if (client === null) return;
    const injected = [bind(2, SERVICE, 'secret'), everything(3)];
    client.socket.write(Buffer.concat([extended(1, OID.startTls), ...injected]));
    if (!(await client.until(() => client.results.length > 0, 5000))) return;
    client.socket.removeAllListeners('data');
    const secure = connectTls({ socket: client.socket, ca: attack.ca, servername: 'ldap.test' });
    secure.on('error', () => {});
    const received: Buffer[] = [];
    secure.on('data', (chunk: Buffer) => received.push(chunk));
    secure.write(extended(4, OID.whoAmI));
    await client.until(() => received.length > 0, 5000);
    const answers = readAnswers(Buffer.concat(received));
    counts.tried = (counts.tried ?? 0) + 1;
    const [only] = answers;
    const isNobody = answers.length === 1 && only?.id === 4 && only.responseValue?.length === 0;
    counts.nobody = (counts.nobody ?? 0) + (isNobody ? 1 : 0);
    secure.destroy();
  });
}

/** More connections than the server takes, each of which asks for something. */
async function connections(attack: Attack, counts: Counts): Promise<void> {
  const clients: HostileClient[] = [];
  for (let n = 0; n < 5000; n += 50) {
    const some = await Promise.all(Array.from({ length: 50 }, (_, i) => dial(attack.port, 400 + ((n + i) % 100))));
    for (const client of some) {
      if (client === null) continue;
      client.socket.write(lookup(1));
      clients.push(client);
    }
  }
  const end = performance.now() + attack.seconds * 1000;
  while (performance.now() < end) {
    await pause(500);
    for (const { socket, closed } of clients) if (!closed) socket.write(lookup(2));
  }
  counts.opened = clients.length;
  counts.served = clients.filter(({ entries }) => entries > 0).length;
  counts.refused = clients.filter(
    ({ results }) => results[0]?.id === 0 && results[0].code === RESULT.unavailable,
  ).length;
  // They go as they came. Five thousand at once take a tenth of a second in which nobody is served, once.
  for (let n = 0; n < clients.length; n += 50) {
    for (const { socket } of clients.slice(n, n + 50)) socket.destroy();
    await pause(5);
  }
}

/** Enumerations that are given up at once, hundreds in one piece. */
async function abandons(attack: Attack, counts: Counts): Promise<void> {
  await inLanes(attack, 8, async (lane) => {
    const client = await dial(attack.port, 60 + lane);
    if (client === null) return;
    const storm = Array.from({ length: 400 }, (_, i) => [everything(i * 2 + 1), abandon(i * 2 + 2, i * 2 + 1)]).flat();
    client.socket.write(Buffer.concat([...storm, lookup(5000)]));
    const isAnswered = await client.until(() => client.results.some(({ id }) => id === 5000), 30_000);
    counts.storms = (counts.storms ?? 0) + 1;
    counts.survived = (counts.survived ?? 0) + (isAnswered ? 1 : 0);
    client.socket.destroy();
  });
}

/** Clients that go away in the middle of what they asked for. */
async function vanishing(attack: Attack, counts: Counts): Promise<void> {
  await inLanes(attack, 12, async (lane) => {
    const client = await dial(attack.port, 70 + lane);
    if (client === null) return;
    client.socket.write(Buffer.concat([everything(1), everything(2)]));
    await client.until(() => client.octets > 100_000, 5000);
    counts.gone = (counts.gone ?? 0) + 1;
    if (lane % 2 === 0) client.socket.resetAndDestroy();
    else client.socket.destroy();
  });
}

/** The costliest requests that the limits let through. */
async function costly(attack: Attack, counts: Counts): Promise<void> {
  const requests = [...costlySearches().map(({ request }, i) => request(i + 1)), costlyBind(100)];
  const end = performance.now() + attack.seconds * 1000;
  await inLanes(attack, 8, async (lane) => {
    const client = await dial(attack.port, 90 + lane);
    if (client === null) return;
    for (let i = 0; i < requests.length && performance.now() < end; i++) {
      const before = client.results.length;
      client.socket.write(requests[(lane * 2 + i) % requests.length]!);
      // Some take longer than there is time; the next one begins while they go on.
      if (await client.until(() => client.results.length > before, 500)) counts.answered = (counts.answered ?? 0) + 1;
      else counts.goingOn = (counts.goingOn ?? 0) + 1;
    }
    noteCode(counts, client);
    client.socket.destroy();
  });
}

/** As many large searches at once as each of many connections may have, whose answers nobody reads. */
async function hoarding(attack: Attack, counts: Counts): Promise<void> {
  const filter = element(0xa1, ...Array.from({ length: 1000 }, () => filterElement('(description>=zzz)')));
  const all = element(0xa1, filterElement('(objectClass=*)'), filter);
  const requests = Buffer.concat(
    Array.from({ length: 32 }, (_, i) => search(i + 1, { base: BASE, filter: i % 2 === 0 ? all : filter })),
  );
  await inLanes(attack, 128, async (lane) => {
    const client = await dial(attack.port, 140 + (lane % 4), { read: false });
    if (client === null) return;
    client.socket.write(requests);
    counts.tried = (counts.tried ?? 0) + 1;
    if (await client.over(1000)) counts.closed = (counts.closed ?? 0) + 1;
    client.socket.destroy();
  });
}

/** Wrong passwords, from many connections. */
async function guesses(attack: Attack, counts: Counts): Promise<void> {
  await inLanes(attack, 64, async (lane) => {
    const client = await dial(attack.port, 110 + (lane % 8));
    if (client === null) return;
    for (let i = 1; i <= 20 && !client.closed; i++) client.socket.write(bind(i, SERVICE, `guess ${i}`));
    await client.until(() => client.results.length > 0, 10_000);
    noteCode(counts, client);
    client.socket.destroy();
  });
}

/** Handshakes that begin and do not end. */
async function handshakes(attack: Attack, counts: Counts): Promise<void> {
  await inLanes(attack, 16, async (lane) => {
    const client = await dial(attack.tlsPort, 130 + lane);
    if (client === null) return;
    const secure = connectTls({ socket: client.socket, ca: attack.ca, servername: 'ldap.test' });
    secure.on('error', () => {});
    if (lane % 2 === 0) await new Promise((resolve) => secure.once('secureConnect', resolve).once('close', resolve));
    else await pause(20);
    counts.tried = (counts.tried ?? 0) + 1;
    secure.destroy();
    client.socket.destroy();
  });
}

export const ATTACKS: Record<string, (attack: Attack, counts: Counts) => Promise<void>> = {
  fuzz,
  linger,
  pipelined,
  gigabyte,
  otherProtocols,
  plaintextBehindStartTls,
  connections,
  abandons,
  vanishing,
  costly,
  hoarding,
  guesses,
  handshakes,
};
