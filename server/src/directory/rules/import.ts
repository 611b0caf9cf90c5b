import { readFile } from 'node:fs/promises';
import type { SudoRules } from './service.ts';

const ACTOR = { username: 'identree-server', remoteAddr: null };

/**
 * Takes over the rules of an earlier installation, once: what has been changed since is not overwritten.
 *
 * @param path null, or a file that is not there: there are none.
 * @throws when the file cannot be read or a rule in it is not accepted: to start without it would leave people without
 * the rules that they had.
 */
export async function importEarlierRules(deps: {
  path: string | null;
  rules: Pick<SudoRules, 'importFile'>;
  log: { info(detail: object, message: string): void };
}): Promise<void> {
  const { path, rules, log } = deps;
  if (path === null) return;
  let content: string;
  try {
    content = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    throw error;
  }
  const result = await rules.importFile(content, ACTOR, { onlyIfEmpty: true, acknowledged: true });
  if (!result.ok) throw new Error(`${path}: ${result.why === 'invalid' ? result.problem : result.why}`);
  if (result.imported > 0) log.info({ rules: result.imported }, `imported sudo rules from ${path}`);
}
