import assert from 'node:assert/strict';
import { chmodSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { patience, runStage, startSudo, temporaryFolder } from './support.ts';

const NOT_RUNNING =
  'identree: the agent is not running and could not be started; sudo is refused. Run `identree doctor` as root to see why.';

function conf(content: string | Uint8Array, mode = 0o600): string {
  const path = join(temporaryFolder(), 'client.conf');
  writeFileSync(path, content);
  chmodSync(path, mode);
  return path;
}

/** What follows the sentence of a stage that has nobody to ask. */
async function saidBy(path: string): Promise<string> {
  const { text, code } = await runStage({ env: { IDENTREE_TEST_CLIENT_CONF: path }, acceptMs: 400 });
  assert.equal(code, 1);
  assert.ok(text.startsWith(NOT_RUNNING) && text.endsWith('\n'), text);
  return text.slice(NOT_RUNNING.length, -1);
}

describe('whom to call, where no agent can say it', () => {
  test('the stage and the plugin name it', patience, async () => {
    const path = conf('IDENTREE_SERVER_URL=https://x\nIDENTREE_CONTACT="Operations, +49 89 1234"\n');
    assert.equal(await saidBy(path), ' Help: Operations, +49 89 1234');
    const env = { IDENTREE_TEST_CLIENT_CONF: path, IDENTREE_TEST_START_MS: '0' };
    const end = await startSudo('/nonexistent', ['id'], env).ended;
    assert.match(end.stderr, /does not answer; sudo is refused\..* Help: Operations, \+49 89 1234\n/);
  });

  const read: Record<string, [content: string | Uint8Array, said: string]> = {
    'with blanks, quotes and export, the last of two': [
      'IDENTREE_CONTACT=one\r\n \texport  IDENTREE_CONTACT = \' two "2" \' \r\n',
      ' Help: two "2"',
    ],
    'without a newline at the end': ['IDENTREE_CONTACT=ops', ' Help: ops'],
    'that is empty': ['IDENTREE_CONTACT=ops\nIDENTREE_CONTACT=""\n', ''],
    'that is a comment, or of another name': ['#IDENTREE_CONTACT=a\nIDENTREE_CONTACTS=b\nXIDENTREE_CONTACT=c\n', ''],
    'without a value': ['IDENTREE_CONTACT\nIDENTREE_CONTACT', ''],
    'with what a terminal would obey': [
      'IDENTREE_CONTACT=a\u001b[2J\u0007b\u009bc\u007f\u0000d é\n',
      ' Help: a[2Jbcd é',
    ],
    'whose bytes become such by what is left out between them': [
      Buffer.from('IDENTREE_CONTACT=a\xc2\0\x9b2J\xc2\xc2\x9b\x9bb\n', 'latin1'),
      ' Help: a2Jb',
    ],
    'longer than any': [`IDENTREE_CONTACT=a${'é'.repeat(5000)}\n`, ` Help: a${'é'.repeat(399)}`],
    'in a file of one long line': [`#${'x'.repeat(70_000)}\nIDENTREE_CONTACT=late\n`, ''],
    'in an empty file': ['', ''],
    'that is no text': [Buffer.from([0xc2, 0x0a, 0x3d, 0xff]), ''],
  };
  for (const [name, [content, said]] of Object.entries(read))
    test(`a contact ${name}`, patience, async () => assert.equal(await saidBy(conf(content)), said));

  test('a file that others can change, or that is a link or none, names nobody', patience, async () => {
    const open = conf('IDENTREE_CONTACT=eve\n', 0o666);
    const link = join(temporaryFolder(), 'client.conf');
    symlinkSync(conf('IDENTREE_CONTACT=eve\n'), link);
    for (const path of [open, link, '/nonexistent/client.conf', temporaryFolder(), '/dev/zero'])
      assert.equal(await saidBy(path), '', path);
  });
});
