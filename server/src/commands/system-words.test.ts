import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { commandsOf, type NamedCommand } from '#shared/command-line/command.ts';
import type { Config } from '../config/config.ts';
import { runOn, runWith } from '../testing/run-command.ts';
import { createTestApp, type TestApp } from '../testing/test-app.ts';
import { enrolTestHost } from '../testing/test-host.ts';
import { type CommandIo, EXIT } from './command.ts';
import { PROGRAM } from './program.ts';

/** What programmers say to each other: codes of the system and of SQLite, and what parsers complain of. */
const FOR_PROGRAMMERS =
  /\b(?:E[A-Z]{3,}|SQLITE_[A-Z]+|ERR_[A-Z_]+)\b|no such file or directory|unable to open|Unexpected (?:token|end)|Expected property|in JSON at|is not valid JSON|errno|syscall|\n\s+at /;

/** What is typed for an operand that is no file. */
const OPERANDS: Readonly<Record<string, string>> = {
  id: 'a'.repeat(32),
  name: 'web1.example.com',
  fingerprint: 'A'.repeat(43),
  group: 'production',
  username: 'alice',
  host: 'web1.example.com',
  action: 'list',
  number: '200001',
  gone: 'alice',
  person: 'bob',
  shell: 'bash',
};
/** And for an option with such a value. One with another is left out. */
const OPTIONS: Readonly<Record<string, string>> = { TEXT: 'because of the test', NAME: 'olga', DIGEST: 'A'.repeat(43) };
const DIRECTORY = { IDENTREE_LDAP_ENABLED: 'true', IDENTREE_LDAP_BASE_DN: 'dc=example,dc=com' };

const isFile = (name: string): boolean => ['file', 'folder'].includes(name.toLowerCase());

/** Where a command names files: operands, and options as `--option`. */
const fileSlots = ({ command }: NamedCommand<CommandIo>): string[] => [
  ...Object.keys(command.operands ?? {}).filter(isFile),
  ...Object.entries(command.options ?? {})
    .filter(([, { value }]) => value !== undefined && isFile(value))
    .map(([name]) => `--${name}`),
];

/** A command line in which `typed` stands at these places. */
function lineOf({ words, command }: NamedCommand<CommandIo>, typed: Readonly<Record<string, string>>): string[] {
  const line = [...words];
  for (const name of Object.keys(command.operands ?? {})) {
    const value = typed[name] ?? OPERANDS[name];
    assert.ok(value !== undefined, `${words.join(' ')} has the operand ${name}: say here what is typed for it`);
    line.push(value);
  }
  for (const [name, { value, choices }] of Object.entries(command.options ?? {})) {
    const given = typed[`--${name}`] ?? choices?.[0] ?? OPTIONS[value ?? ''];
    if (value !== undefined && given !== undefined) line.push(`--${name}`, given);
  }
  return line;
}

describe('what the operating system says is told in words, with the file that it is about', () => {
  let folder: string;
  let t: TestApp;
  let config: Config;
  /** What is typed elsewhere, so that a command comes as far as the file in question. */
  let typed: Readonly<Record<string, Readonly<Record<string, string>>>>;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'identree-words-'));
    const policy = join(folder, 'policy.json');
    await writeFile(policy, JSON.stringify({ policies: [{ name: 'default', approval: 'none' }] }));
    await chmod(policy, 0o600);
    t = await createTestApp({ env: { IDENTREE_APPROVAL_POLICIES_FILE: policy } });
    config = t.config;
    const host = await enrolTestHost(t.app, t.clock, 'web1.example.com');
    const { challengeId, verdict } = await host.create();
    assert.notEqual(verdict, null);
    const backup = join(folder, 'backup');
    assert.equal((await runOn(['backup', backup], config)).code, 0);
    await writeFile(join(folder, 'garbage'), '{garbage');
    const root = join(config.keysDir, 'trust-root.pem');
    const shown = join(folder, 'request');
    typed = {
      'export-approval': { id: challengeId },
      'trust sign': { file: shown, '--root': root, '--signature': join(folder, 'signature') },
      'verify-webhook': { '--id': 'msg_1', '--timestamp': '1' },
      restore: { folder: backup },
      backup: { folder: join(folder, 'another') },
    };
    await mkdir(join(folder, 'folder'));
    await writeFile(join(folder, 'folder', 'in-it'), '');
  });
  after(async () => {
    await t.close();
    await rm(folder, { recursive: true, force: true });
  });

  /** Files that cannot be read, or not be written, or that are something else. */
  const badPlaces = () => ['none/x', 'garbage/x', 'garbage', 'folder'].map((name) => join(folder, name));

  /** Commands that come to another end before they come to the file. */
  const NOT_SO_FAR: Readonly<Record<string, string>> = {
    'verify-webhook --seen': 'there is no key, and nothing on the standard input',
    'trust request': 'nothing waits for a signature',
    'trust sign --signature': 'there is no request',
    'uidmap diff': 'the directory has never run, so there is nothing to compare with',
  };

  for (const named of commandsOf(PROGRAM)) {
    const name = named.words.join(' ');
    for (const slot of fileSlots(named)) {
      test(`${name}: ${slot}`, async () => {
        const isFar = !((slot.startsWith('--') ? `${name} ${slot}` : name) in NOT_SO_FAR);
        for (const place of badPlaces()) {
          const line = lineOf(named, { ...typed[name], [slot]: place });
          const { code, err } = await runOn(line, config, DIRECTORY);
          if (isFar) assert.equal(code, EXIT.failed, `${line.join(' ')}: ${err}`);
          assert.doesNotMatch(err, FOR_PROGRAMMERS, line.join(' '));
          const missing = place.startsWith(join(folder, 'none'));
          if (isFar) assert.ok(err.includes(missing ? join(folder, 'none') : place), `${line.join(' ')}: ${err}`);
        }
        assert.deepEqual((await readdir(join(folder, 'folder'))).sort(), ['in-it'], 'what was there is as it was');
      });
    }

    test(`${name}: a database or keys that are not there, or something else`, async (c) => {
      const bare = await runWith(lineOf(named, { file: 'x', folder: 'x', ...typed[name] }), {});
      if (bare.code !== EXIT.configuration) {
        c.diagnostic('it needs no configuration');
        return;
      }
      const unused = join(folder, 'unused');
      const places: Record<string, string> = {
        [join(folder, 'none', 'x.db')]: 'IDENTREE_DATABASE_DSN',
        [join(folder, 'garbage')]: 'IDENTREE_DATABASE_DSN',
        [join(folder, 'folder')]: 'IDENTREE_DATABASE_DSN',
        [join(folder, 'garbage', 'keys')]: 'IDENTREE_KEYS_DIR',
      };
      for (const [place, setting] of Object.entries(places)) {
        const line = lineOf(named, { file: join(folder, 'garbage'), ...typed[name] });
        const { code, err } = await runOn(line, config, {
          ...DIRECTORY,
          IDENTREE_LISTEN_ADDR: '127.0.0.1:0',
          IDENTREE_LDAP_LISTEN_ADDR: '127.0.0.1:0',
          IDENTREE_LDAP_TLS_LISTEN_ADDR: 'off',
          IDENTREE_DATABASE_DSN: `${unused}.db`,
          IDENTREE_KEYS_DIR: unused,
          [setting]: place,
        });
        assert.equal(code, EXIT.failed, `${line.join(' ')} with ${setting}=${place}: ${err}`);
        assert.doesNotMatch(err, FOR_PROGRAMMERS, line.join(' '));
        // One opens files alone, the other finds that a new database has nothing in it yet.
        const shown = name === 'backup' && setting === 'IDENTREE_KEYS_DIR' ? `${unused}.db` : place;
        if (name !== 'uidmap repair') assert.ok(err.includes(shown), `${line.join(' ')} with ${place}: ${err}`);
        await rm(unused, { recursive: true, force: true });
      }
      assert.equal(existsSync(join(folder, 'another')), false, 'a backup that failed leaves nothing');
    });
  }
});
