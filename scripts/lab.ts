import { spawn } from 'node:child_process';
import { parseArgs } from 'node:util';
import type { DirectoryWorld } from '../e2e/harness/directory.ts';
import { whyNoLab } from '../e2e/harness/lab.ts';
import { order, takeOrders, VERBS, type Verb } from './lab/control.ts';
import { describeSite, HOST, openSite } from './lab/site.ts';
import { buildForLab, installFor } from './testing/prepare.ts';

/** `npm run lab`: a real host against a production server, and a shell in it. Everything is gone when the shell ends. */

const USAGE = `npm run lab -- [--user NAME]        a shell on the host as NAME (root)
npm run lab -- approve [CODE]       in another terminal: answers the request that waits
npm run lab -- deny [CODE]

  Needs root, and on Debian or Ubuntu installs what it lacks.
`;

const print = (text: string): void => void process.stdout.write(text);

/** Runs a shell on a terminal of the host until it ends, however it ends: that is no failure of the lab. */
function shell(world: DirectoryWorld, user: string, stop: AbortSignal): Promise<void> {
  const host = world.host(HOST);
  const command = user === 'root' ? ['bash', '-l'] : ['su', '-', user];
  const [program, args] = host.enter(['/usr/local/lib/lab/labpty', '--'], command);
  // Keys go to the host's terminal as they are, Ctrl-C as well. Node gives ours back at the end.
  if (process.stdin.isTTY) process.stdin.setRawMode(true);
  const child = spawn(program, args, { stdio: 'inherit' });
  stop.addEventListener('abort', () => child.kill('SIGKILL'));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('exit', () => resolve());
  });
}

async function run(user: string): Promise<number> {
  installFor('lab');
  const reason = process.getuid?.() === 0 ? whyNoLab() : 'a lab host is booted by root: sudo npm run lab';
  if (reason !== null) {
    process.stderr.write(`${reason}\n`);
    return 1;
  }
  const stop = new AbortController();
  let status = 0;
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ] as const) {
    process.on(signal, () => {
      status = 128 + number;
      stop.abort();
    });
  }
  const stopped = new Promise<null>((resolve) => stop.signal.addEventListener('abort', () => resolve(null)));
  print('Building what is not built yet. The first time takes some minutes, because of the image of the host.\n');
  if (!buildForLab()) return 1;
  const opening = openSite((lab) => print(`Lab ${lab.id}: starting server and host ...\n`));
  const world = await Promise.race([opening, stopped]);
  if (world === null) {
    // What is half open is closed by the process that watches this one.
    opening.catch(() => {});
    return status;
  }
  const stopOrders = await takeOrders(world);
  try {
    print(describeSite(world, user));
    await shell(world, user, stop.signal);
    return status;
  } finally {
    stopOrders();
    print('\nRemoving the lab ...\n');
    await world.close();
  }
}

async function main(): Promise<number> {
  let parsed: { values: { user: string; help?: boolean }; positionals: string[] };
  try {
    const options = { user: { type: 'string', default: 'root' }, help: { type: 'boolean', short: 'h' } } as const;
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n\n${USAGE}`);
    return 64;
  }
  const [verb, code, ...more] = parsed.positionals;
  if (parsed.values.help) {
    print(USAGE);
    return 0;
  }
  if (verb === undefined) return run(parsed.values.user);
  if (!VERBS.includes(verb) || more.length > 0) {
    process.stderr.write(USAGE);
    return 64;
  }
  const report = await order(verb as Verb, code ?? null);
  (report.ok ? process.stdout : process.stderr).write(`${report.text}\n`);
  return report.ok ? 0 : 1;
}

process.exit(await main());
