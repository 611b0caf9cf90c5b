import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { resolve } from '#shared/command-line/resolve.ts';
import { ERRORS } from '#shared/errors.ts';
import messages from '#shared/locales/en.json' with { type: 'json' };
import { PROGRAM as AGENT } from '../agent/src/commands/program.ts';
import { readExamples } from '../e2e/harness/examples.ts';
import { createApp } from '../server/src/app/app.ts';
import type { Config } from '../server/src/config/config.ts';
import { runOn } from '../server/src/testing/run-command.ts';
import { createTestApp, type TestApp } from '../server/src/testing/test-app.ts';
import { enrolTestHost, type TestHost } from '../server/src/testing/test-host.ts';

const PAGE = 'docs/backup.md';
const examples = await readExamples(PAGE);
const page = (await readFile(join(import.meta.dirname, '..', PAGE), 'utf8')).replaceAll('\n', ' ');

/** Words of a line as a shell takes them. */
const wordsOf = (line: string): string[] =>
  [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, plain]) => quoted ?? plain!);

describe('the page about backups, as printed', { concurrency: false }, () => {
  let folder: string;
  let t: TestApp;
  let config: Config;
  let late: TestHost;
  const backup = () => join(folder, 'backups/identree-2026-11-30');

  /** With the places of the page moved into the folder of this test. */
  const here = (name: string): string =>
    examples.text(name).replaceAll('/var/lib/identree-server/keys', config.keysDir).replaceAll('/srv/', `${folder}/`);

  /** Runs an example line by line. @returns what was said on standard output */
  async function follow(name: string): Promise<string> {
    const env: Record<string, string> = {};
    let said = '';
    for (const line of here(name).trim().split('\n')) {
      const [program = '', ...words] = wordsOf(line);
      if (program === 'export') {
        const [key = '', value = ''] = words[0]!.split('=');
        env[key] = value;
        continue;
      }
      if (program !== 'identree-server') {
        execFileSync('sh', ['-ec', line]);
        continue;
      }
      const { code, out, err } = await runOn(words, config, env);
      assert.equal(code, 0, `${line}: ${err}`);
      said += out;
    }
    return said;
  }

  const serve = () => runOn(['serve'], config, { IDENTREE_LISTEN_ADDR: '127.0.0.1:0' });

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'identree-guide-'));
    await mkdir(join(folder, 'backups'));
    t = await createTestApp({ now: Date.now() });
    config = t.config;
    await enrolTestHost(t.app, t.clock, 'web1.example.com');
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
    await rm(join(config.keysDir, '..'), { recursive: true, force: true });
  });

  test('one is made while the server runs, and tried beside it', async () => {
    assert.match(await follow('make'), /up to event \d+/);
    assert.ok(existsSync(join(backup(), 'manifest.json')));
    assert.match(await follow('verify'), /The chain is whole/);
    late = await enrolTestHost(t.app, t.clock, 'web9.example.com');
  });

  test('each file of the keys folder that is lost is named, is on the page, and comes back alone', async () => {
    await t.app.close();
    for (const name of await readdir(config.keysDir)) {
      assert.ok(page.includes(`| \`${name}\``) || page.includes(`, \`${name}\``), `${name} is not on the page`);
      const path = join(config.keysDir, name);
      await rm(path);
      const refused = await serve();
      if (name === 'storage.key') {
        assert.equal(refused.code, 0, 'as the page says');
        await rm(path);
      } else {
        assert.equal(refused.code, 1, name);
        assert.ok(refused.err.includes(name), refused.err);
      }
      execFileSync('sh', ['-ec', here('one-file').replaceAll('verdict.pem', name)]);
      const { code, err } = await serve();
      assert.equal(code, 0, `${name}: ${err}`);
    }
  });

  test('it is put back, hosts may go on, and one that was enrolled since is enrolled again', async () => {
    for (const path of [config.keysDir, config.database.dsn]) await rename(path, `${path}.old`);
    for (const more of ['-wal', '-shm']) await rm(`${config.database.dsn}${more}`, { force: true });
    assert.match(await follow('restore'), /restore accept/);
    assert.match(await follow('accept'), /in the name of olga/);
    const app = await createApp(config, { clock: t.clock });
    try {
      const { body } = await late.send('POST', '/challenges', late.createBody(), {}, app);
      assert.equal(body.error?.code, 'host_unknown');
    } finally {
      await app.close();
    }
    assert.match(await follow('token'), /^idt1\./);
    // What is run on the host is run by the tests of hosts; that it exists is asserted here.
    for (const line of here('enroll-again').trim().split('\n')) {
      const [program, ...words] = wordsOf(line);
      if (program === 'identree') assert.equal(resolve(AGENT, words).kind, 'run', line);
      else assert.deepEqual([program, ...words], ['systemctl', 'restart', 'identree-agent']);
    }
  });

  test('what hosts say meanwhile is what they say', async () => {
    for (const said of [messages['gate.rolledBack'], messages['gate.logForked'], ERRORS.host_unknown[1]]) {
      assert.ok(page.includes(said), said);
    }
    const status = await readFile(join(import.meta.dirname, '../agent/src/status/status.ts'), 'utf8');
    for (const said of ["The server's log $", 'ended at $', 'was another one', '; put back to $']) {
      assert.ok(status.includes(said), said);
    }
    // Every command that a sentence names.
    for (const [, program, words] of page.matchAll(/`(identree(?:-server)?) ([a-z][a-z -]*)/g)) {
      if (program === 'identree')
        assert.notEqual(resolve(AGENT, [...words!.trim().split(' '), '--help']).kind, 'refused', words);
    }
    assert.deepEqual(examples.untried(), []);
  });
});
