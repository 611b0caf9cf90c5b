import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { freePort } from '../../server/src/testing/free-port.ts';
import { run } from '../harness/run.ts';
import { command, type Evaluation, newFolder, startEvaluation } from './evaluation.ts';

const README = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8');

/** Commands of the README's example and what they print. */
function example(): { line: string; answer: string }[] {
  const block = /<!-- ldapsearch:begin -->\s*```\n([\s\S]*?)```\s*<!-- ldapsearch:end -->/.exec(README)?.[1] ?? '';
  return block
    .split(/^\$ /m)
    .slice(1)
    .map((part) => {
      const [line = '', ...answer] = part.split('\n');
      return { line, answer: answer.join('\n').trim() };
    });
}

describe('the directory of the evaluation', () => {
  let evaluation: Evaluation;
  let ldapPort: number;
  before(async () => {
    ldapPort = await freePort();
    evaluation = await startEvaluation({ ldapPort });
  });
  after(() => evaluation?.remove());

  const search = (line: string) => {
    const [program = '', ...args] = line.replace(':3389', `:${ldapPort}`).split(' ');
    // The machine's own LDAP settings are not the subject.
    return run(program, args, { env: { PATH: process.env.PATH ?? '', LDAPNOINIT: '1' } });
  };

  test('answers what the README says it answers', async () => {
    assert.equal(example().length, 2);
    for (const { line, answer } of example()) {
      const { code, stdout } = await search(line);
      assert.equal(code, 0);
      assert.equal(stdout.trim(), answer, line);
    }
  });

  test('npm start says how to ask it', async () => {
    const line = /ldapsearch -x .*/.exec(evaluation.said())?.[0] ?? '';
    assert.match((await search(line.replace(String(ldapPort), '3389'))).stdout, /^dn: uid=alice,/m);
  });

  test('a busy port is named, with a way out, and leaves nothing running', async () => {
    const folder = await newFolder();
    const args = ['--dir', folder, '--port', String(await freePort()), '--ldap-port', String(ldapPort)];
    const { code, stderr } = await command('start', args);
    assert.equal(code, 1);
    assert.match(stderr, new RegExp(`Port ${ldapPort} is in use .*--ldap-port`));
  });
});
