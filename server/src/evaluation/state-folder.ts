import {
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import type { Random } from '../platform/random.ts';
import { randomText } from '../platform/random.ts';
import { newSignInCode } from './sign-in-code.ts';

/** Everything that an evaluation keeps, below one folder that `npm run reset` deletes. */
export const stateFiles = (folder: string) => ({
  mark: join(folder, 'EVALUATION'),
  secrets: join(folder, 'secrets.json'),
  run: join(folder, 'run.json'),
  database: join(folder, 'identree.db'),
  keys: join(folder, 'keys'),
  host: join(folder, 'host'),
  hostServer: join(folder, 'host-server'),
  policies: join(folder, 'policies.json'),
  directory: join(folder, 'directory.json'),
  uidMap: join(folder, 'uidmap.json'),
  log: join(folder, 'server.log'),
  audit: join(folder, 'audit.jsonl'),
});

const MARK = `This folder belongs to the evaluation mode of identree (npm start).
It holds a database, keys and a demo host that production refuses.
To delete it: npm run reset
`;

/** Whether a folder holds an evaluation, nothing at all, or something that is not ours to touch. */
export function kindOfFolder(folder: string): 'nothing' | 'evaluation' | 'foreign' {
  const info = lstatSync(folder, { throwIfNoEntry: false });
  if (!info) return 'nothing';
  // A link could lead anywhere, and reset deletes.
  if (!info.isDirectory()) return 'foreign';
  if (existsSync(stateFiles(folder).mark)) return 'evaluation';
  return readdirSync(folder).length === 0 ? 'nothing' : 'foreign';
}

/** Makes the folder, for its owner only. @throws when something else is there. */
export function prepareStateFolder(folder: string): void {
  if (kindOfFolder(folder) === 'foreign') {
    throw new Error(`${folder} holds something that is not an evaluation of identree. Move it away first.`);
  }
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  writeFileSync(stateFiles(folder).mark, MARK, { mode: 0o600 });
}

const secretsFile = z.strictObject({ v: z.literal(1), code: z.string().min(8), browserKey: z.string().min(40) });
export type EvaluationSecrets = z.infer<typeof secretsFile>;

/** The sign-in code and the key of what browsers keep: the same at every start, until reset. */
export function loadSecrets(folder: string, random: Random): EvaluationSecrets {
  const path = stateFiles(folder).secrets;
  if (existsSync(path)) return secretsFile.parse(JSON.parse(readFileSync(path, 'utf8')));
  const secrets: EvaluationSecrets = { v: 1, code: newSignInCode(random), browserKey: randomText(random) };
  writeFileSync(path, `${JSON.stringify(secrets)}\n`, { mode: 0o600, flag: 'wx' });
  return secrets;
}

const runFile = z.strictObject({ pid: z.int().positive(), started: z.string(), url: z.string() });
export type Running = z.infer<typeof runFile>;

/** Start time of a process in clock ticks: a process id alone may by now belong to another process. */
function startTime(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? null;
  } catch {
    return null;
  }
}

/** The evaluation that runs on this folder, or null. */
export function findRunning(folder: string): Running | null {
  try {
    const found = runFile.parse(JSON.parse(readFileSync(stateFiles(folder).run, 'utf8')));
    return startTime(found.pid) === found.started ? found : null;
  } catch {
    return null;
  }
}

/** Notes that this process runs on the folder. The returned function takes the note back. */
export function noteRunning(folder: string, url: string): () => void {
  const path = stateFiles(folder).run;
  const note: Running = { pid: process.pid, started: startTime(process.pid) ?? '', url };
  writeFileSync(`${path}.new`, `${JSON.stringify(note)}\n`, { mode: 0o600 });
  renameSync(`${path}.new`, path);
  return () => rmSync(path, { force: true });
}
