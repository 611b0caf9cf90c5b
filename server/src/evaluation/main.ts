import { relative } from 'node:path';
import { type EvaluationOptions, parseOptions } from './options.ts';
import { PortBusy, startEvaluation } from './start-evaluation.ts';
import { findRunning } from './state-folder.ts';

/** `npm start`: identree for trying out. Production begins in server/src/main.ts and knows nothing of this. */

const say = (text: string): void => void process.stdout.write(`${text}\n`);
const complain = (text: string): void => void process.stderr.write(`${text}\n`);

async function run(options: EvaluationOptions): Promise<number> {
  const near = relative(process.cwd(), options.folder);
  const folder = near.startsWith('..') ? options.folder : `./${near}`;
  const running = findRunning(options.folder);
  if (running) {
    say(`identree is already running: ${running.url} (process ${running.pid})`);
    const same = !options.portChosen || new URL(running.url).port === String(options.port);
    if (!same) complain('To change the port, stop that one first (Ctrl-C in its terminal).');
    return same ? 0 : 1;
  }
  // Ctrl-C can arrive twice, from the terminal and from npm: one of them is enough.
  const stopped = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => resolve());
  });
  const evaluation = await startEvaluation(options);
  const people = evaluation.sample.people.map(({ username }) => username);
  const directory =
    options.ldapPort === null
      ? ''
      : `
  Directory     ldapsearch -x -H ldap://127.0.0.1:${options.ldapPort} -b dc=example,dc=com uid=alice
                people, groups and sudo rules as sssd asks for them`;
  const there = folder === './.identree' ? '' : `--dir ${folder} `;
  say(`
identree is ready: ${evaluation.url}

  Sign in       with the code ${evaluation.code}, as ${people.slice(0, -1).join(', ')} or ${people.at(-1)}
  Then try      npm run try -- ${there}systemctl restart nginx
                in a second terminal; it asks for approval and runs nothing${directory}

This is an evaluation on this machine only. Everything is kept in ${folder}, each event
as a line of ${folder}/audit.jsonl. Ctrl-C stops it; npm run reset${there && ` -- ${there.trimEnd()}`} deletes it.
`);
  await stopped;
  say('\nidentree is stopping …');
  const patience = setTimeout(() => process.exit(1), 10_000);
  await evaluation.close();
  clearTimeout(patience);
  return 0;
}

const parsed = parseOptions(process.argv.slice(2), process.cwd());
if (!parsed.ok) {
  complain(parsed.problem);
  process.exit(64);
}
try {
  process.exitCode = await run(parsed.options);
} catch (error) {
  if (error instanceof PortBusy) {
    const { option, port } = error;
    const other =
      option === '--ldap-port' ? `npm start -- ${option} ${port + 1}, or off` : `npm start -- ${option} ${port + 1}`;
    complain(`Port ${port} is in use by another program. Stop it, or choose another port: ${other}`);
  } else complain(`identree could not start: ${error instanceof Error ? error.message : String(error)}`);
  process.exit(1);
}
