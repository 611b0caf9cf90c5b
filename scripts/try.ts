import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join, resolve as resolvePath } from 'node:path';
import { demoHostArguments } from '../server/src/evaluation/demo-host.ts';
import { findRunning } from '../server/src/evaluation/state-folder.ts';

/**
 * `npm run try -- [--user NAME] COMMAND...`: rehearses an approval on the demo host with the real agent. Nothing is run.
 * Exit code: 0 approved, 1 denied, 2 expired, 3 error.
 */

const USAGE = `npm run try -- [--user NAME] COMMAND [ARGUMENT...]

  Asks for approval of a command as a sample user would with sudo. Nothing is run.
  --user NAME    who asks (alice)
  --dir FOLDER   folder of the evaluation (./.identree)
`;
const ERROR = 3;

/** Options come before the command; whatever the command has itself is left alone. */
function parse(args: string[]): { user: string; folder: string; words: string[] } | null {
  let user = 'alice';
  let folder = '.identree';
  let at = 0;
  for (; at < args.length && args[at]!.startsWith('-'); at++) {
    const [name, inline] = args[at]!.split(/=(.*)/s);
    if (name === '--') {
      at += 1;
      break;
    }
    if (name !== '--user' && name !== '--dir') return null;
    const value = inline ?? args[++at];
    if (!value) return null;
    if (name === '--user') user = value;
    else folder = value;
  }
  const words = args.slice(at);
  return words.length > 0 ? { user, folder: resolvePath(folder), words } : null;
}

async function main(): Promise<number> {
  const parsed = parse(process.argv.slice(2));
  if (!parsed) {
    process.stderr.write(USAGE);
    return ERROR;
  }
  const { user, folder, words } = parsed;
  if (!findRunning(folder)) {
    process.stderr.write('identree does not run here. Start it in another terminal: npm start\n');
    return ERROR;
  }
  const agent = join(import.meta.dirname, '../agent/src/main.ts');
  const flags = ['--disable-warning=ExperimentalWarning'];
  const args = [agent, 'try', ...demoHostArguments(folder), '--user', user, '--', ...words];
  const child = spawn(process.execPath, [...flags, ...args], { stdio: 'inherit' });
  // The agent withdraws the request and then ends. It has a Ctrl-C from the terminal already.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
  return new Promise((resolve) => {
    child.on('error', () => resolve(ERROR));
    child.on('exit', (code, signal) => resolve(signal ? 128 + constants.signals[signal] : (code ?? ERROR)));
  });
}

process.exitCode = await main();
