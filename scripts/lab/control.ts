import { chmodSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { type DirectoryWorld, OPERATOR } from '../../e2e/harness/directory.ts';
import { WITH_PASSKEY } from './site.ts';

/** `npm run lab -- approve` in another terminal: labs that run here listen on a socket that only root may use. */

const FOLDER = '/run/identree-lab';

export type Verb = 'approve' | 'deny';
export const VERBS: readonly string[] = ['approve', 'deny'] satisfies Verb[];

interface Order {
  verb: Verb;
  /** Null: the request that came last. */
  code: string | null;
}

interface Report {
  ok: boolean;
  text: string;
}

async function answer(world: DirectoryWorld, { verb, code }: Order): Promise<Report> {
  const row = code
    ? world.server.data.challenge(code)
    : world.server.data.challenges().findLast(({ status }) => status === 'pending');
  if (!row) return { ok: false, text: code ? `there is no request ${code}` : 'nothing waits for an answer' };
  const person = world.person(WITH_PASSKEY.includes(row.username) ? row.username : OPERATOR);
  const result = verb === 'approve' ? await person.approve(row.user_code) : await person.deny(row.user_code);
  const what = `${row.user_code} of ${row.username}`;
  if (!result.ok) return { ok: false, text: `${what}: ${result.message}` };
  return { ok: true, text: `${verb === 'approve' ? 'approved' : 'denied'} ${what} as ${person.username}` };
}

/** Takes orders until it is told to stop. */
export async function takeOrders(world: DirectoryWorld): Promise<() => void> {
  mkdirSync(FOLDER, { recursive: true, mode: 0o700 });
  const path = join(FOLDER, `${world.lab.id}.sock`);
  rmSync(path, { force: true });
  const server = createServer((socket) => {
    let text = '';
    socket.on('error', () => {});
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      text += chunk;
      if (!text.endsWith('\n')) return;
      void answer(world, JSON.parse(text) as Order)
        .catch((error: unknown) => ({ ok: false, text: String(error) }))
        .then((report) => socket.end(JSON.stringify(report)));
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(path, resolve);
  });
  chmodSync(path, 0o600);
  return () => {
    server.close();
    rmSync(path, { force: true });
  };
}

function send(path: string, order: Order): Promise<Report | null> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let text = '';
    socket.setEncoding('utf8');
    // Left behind by a lab that was killed.
    socket.on('error', () => resolve(null));
    socket.on('data', (chunk: string) => {
      text += chunk;
    });
    socket.on('end', () => resolve(text === '' ? null : (JSON.parse(text) as Report)));
    socket.write(`${JSON.stringify(order)}\n`);
  });
}

/** Tells the labs of this machine; the first that knows the request carries the order out. */
export async function order(verb: Verb, code: string | null): Promise<Report> {
  let names: string[] = [];
  try {
    names = readdirSync(FOLDER);
  } catch {
    // No lab ever ran, or not for this user.
  }
  let last: Report = { ok: false, text: 'no lab runs here. Start one in another terminal: npm run lab' };
  for (const name of names) {
    const report = await send(join(FOLDER, name), { verb, code });
    if (report?.ok) return report;
    last = report ?? last;
  }
  return last;
}
