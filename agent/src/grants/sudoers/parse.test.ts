import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import fc from 'fast-check';
import { cases } from '../../../../server/src/ldap/testing/long.ts';
import { rowsOfEntries, rowsOfSudo, run, spoiledFile, sudoersFile } from '../../testing/sudoers-oracle.ts';
import { parseSudoers } from './parse.ts';

const TOOLS = ['/usr/bin/cvtsudoers', '/usr/sbin/visudo'];
const skip = TOOLS.every((tool) => existsSync(tool)) ? false : 'needs cvtsudoers and visudo of the sudo package';
const RUNS = cases(60, 3000);

/** Values that sudo checks beyond its grammar. */
const VALUE = /invalid (notafter|timeout) value|sudoedit|unknown defaults|values? for|value .* for/;

describe('reading sudoers as sudo does', { skip }, () => {
  let folder = '';
  let file = '';
  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'identree-sudoers-'));
    file = join(folder, 'sudoers');
  });
  after(() => rm(folder, { recursive: true, force: true }));

  /**
   * Lines that visudo complains about. `values` are those of which it knows the grammar and dislikes a value: what we
   * tell of such a rule is more than it gives, never less.
   */
  async function complaints(): Promise<{ lines: number[]; values: number[] }> {
    const { stdout, stderr } = await run('visudo', ['-c', '-f', file]);
    const found = [...`${stdout}\n${stderr}`.matchAll(/^(Warning: )?[^\n]*?sudoers:(\d+):\d+: ([^\n]*)$/gm)];
    const lines: number[] = [];
    const values: number[] = [];
    for (const [, warning, line, text] of found) {
      if (warning !== undefined || /cycle in|not defined/.test(text!)) continue;
      (VALUE.test(text!) ? values : lines).push(Number(line));
    }
    return { lines, values };
  }

  it('says of any file who may run what, and with what password, as cvtsudoers does', async () => {
    await fc.assert(
      fc.asyncProperty(sudoersFile, async (text) => {
        await writeFile(file, text, { mode: 0o440 });
        const { code, stdout, stderr } = await run('cvtsudoers', ['-f', 'json', file]);
        assert.equal(code, 0, stderr);
        const entries = parseSudoers(text);
        assert.deepEqual(
          entries.filter(({ kind }) => kind === 'unread'),
          [],
        );
        assert.deepEqual(rowsOfEntries(entries), rowsOfSudo(stdout));
      }),
      { numRuns: RUNS },
    );
  });

  it('does not understand the same lines that visudo does not', async () => {
    await fc.assert(
      fc.asyncProperty(spoiledFile, async (text) => {
        await writeFile(file, text, { mode: 0o440 });
        const source = text.split('\n');
        /** Where an entry begins: on several lines sudo may complain where it gives it up, and where it finds its way again. */
        const begin = (line: number): number => (source[line - 2]?.endsWith('\\') ? begin(line - 1) : line);
        const { lines, values } = await complaints();
        const unread = parseSudoers(text).flatMap(({ kind, line }) => (kind === 'unread' ? [line] : []));
        const left = new Set(values.map(begin));
        const entries = (list: readonly number[]) =>
          [...new Set(list.map(begin))].filter((line) => !left.has(line)).sort((a, b) => a - b);
        assert.deepEqual(entries(unread), entries(lines));
      }),
      { numRuns: RUNS },
    );
  });
});
