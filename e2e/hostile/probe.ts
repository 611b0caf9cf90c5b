import { connect, type Socket } from 'node:net';
import { frameLength } from '../../server/src/ldap/ber/reader.ts';
import { SEQUENCE } from '../../server/src/ldap/ber/tag.ts';
import { bind, readAnswers, search } from '../../server/src/ldap/testing/messages.ts';
import { BASE } from '../../server/src/ldap/testing/sample-entries.ts';
import type { FromProbe, Latency, ToProbe } from './messages.ts';

/**
 * A normal client: one connection, bound, a lookup every few milliseconds whether or not the last one has been answered,
 * so that a pause counts for everything that falls into it. Arguments: port of the server, port of the echo.
 */

const EVERY = 6;
const MESSAGE_ID = 0x7fffff;
const [port, echoPort] = process.argv.slice(2).map(Number) as [number, number];
const send = (message: FromProbe): void => void process.send!(message);

let ldap: number[] = [];
let control: number[] = [];
let wrong = 0;
let failure: string | null = null;

const summary = (samples: number[]): Latency => {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (share: number): number => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { count: sorted.length, p50: at(0.5), p95: at(0.95), p99: at(0.99), max: at(1) };
};

function dial(to: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port: to, host: '127.0.0.1', noDelay: true }, () => resolve(socket));
    socket.on('error', (error) => {
      failure ??= error.message;
      reject(error);
    });
    socket.on('close', () => {
      failure ??= 'the connection was closed';
    });
  });
}

/** Splits what comes into whole messages. */
function onMessages(socket: Socket, onMessage: (message: Buffer) => void): void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on('data', (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    for (;;) {
      const length = frameLength(rest, at, rest.length, SEQUENCE);
      if (length <= 0 || at + length > rest.length) break;
      onMessage(rest.subarray(at, at + length));
      at += length;
    }
    rest = rest.subarray(at);
  });
}

const attributes = ['objectClass', 'uid', 'uidNumber', 'gidNumber', 'gecos', 'homeDirectory', 'loginShell', 'cn'];
const lookup = (n: number, id: number): Buffer =>
  search(id, {
    base: `ou=people,${BASE}`,
    filter: `(&(uid=u${String(n).padStart(6, '0')})(objectclass=posixAccount)(uid=*)(&(uidNumber=*)(!(uidNumber=0))))`,
    attributes,
  });

const client = await dial(port);
const sent = new Map<number, number>();
const entries = new Map<number, number>();
onMessages(client, (message) => {
  const [answer] = readAnswers(message);
  const { id, code } = answer!;
  if (code === undefined) {
    entries.set(id, (entries.get(id) ?? 0) + 1);
    return;
  }
  const started = sent.get(id);
  sent.delete(id);
  if (started !== undefined) ldap.push(performance.now() - started);
  // The first answer is that of the bind.
  if (id > 1 && (code !== 0 || entries.get(id) !== 1)) wrong++;
  entries.delete(id);
});
client.write(bind(1, `cn=sssd,${BASE}`, 'secret'));

const echo = await dial(echoPort);
const echoed: number[] = [];
onMessages(echo, () => control.push(performance.now() - echoed.shift()!));

let id = 1;
function tick(): void {
  id = id === MESSAGE_ID ? 2 : id + 1;
  const message = lookup((id * 7) % 3000, id);
  echoed.push(performance.now());
  echo.write(message);
  sent.set(id, performance.now());
  client.write(message);
}
setInterval(tick, EVERY);

process.on('message', ({ kind }: ToProbe) => {
  if (kind !== 'observe') return;
  const now = performance.now();
  // Who still waits has waited this long at least.
  for (const started of sent.values()) if (now - started > 1000) ldap.push(now - started);
  send({ kind: 'observation', observation: { ldap: summary(ldap), control: summary(control), wrong, failure } });
  [ldap, control, wrong] = [[], [], 0];
});
process.on('disconnect', () => process.exit(0));
send({ kind: 'ready' });
