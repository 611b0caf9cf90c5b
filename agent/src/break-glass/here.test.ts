import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { ToldDefaults } from '#shared/client-defaults.ts';
import { identree, MAIN } from '../testing/cli.ts';
import { createFakeServer, passwordOf } from '../testing/fake-server.ts';
import { createEnrolledHost, createHostFolders } from '../testing/host.ts';
import { tellHostAt } from '../testing/tell-defaults.ts';
import { createVerify } from './verify.ts';

const OPTIONS = { timeout: 120_000, concurrency: 2 };

async function world(conf = '') {
  const server = await createFakeServer();
  const host = await createEnrolledHost(server, conf);
  const flags = ['--config', host.paths.config, '--state', host.paths.state];
  return {
    server,
    flags,
    told: (defaults: ToldDefaults['defaults']) => tellHostAt(host.paths, server, defaults),
    file: join(host.dir, 'identree-breakglass'),
    rotate: (...words: string[]) => identree(['rotate-breakglass', ...flags, ...words]),
    verify: (input: string) => identree(['verify-breakglass', ...flags], { input }),
    async [Symbol.asyncDispose]() {
      await server.close();
      await host.remove();
    },
  };
}

describe('identree rotate-breakglass and verify-breakglass', OPTIONS, () => {
  it('what the server keeps is printed nowhere; it, and nothing else, is the password', async () => {
    await using w = await world();
    const rotated = await w.rotate();
    assert.equal(rotated.code, 0, rotated.stderr);
    assert.equal(rotated.stdout, '');
    assert.match(rotated.stderr, /The server keeps it/);
    const password = passwordOf(w.server.breakGlass.kept[0]);
    assert.ok(!rotated.stderr.includes(password));
    assert.ok(!(await readFile(w.file, 'utf8')).includes(password));
    assert.equal((await w.verify(`${password}\n`)).code, 0);
    assert.equal((await w.verify(password)).code, 0);
    assert.equal((await w.verify(`${password}x\n`)).code, 1);
    assert.equal((await w.verify('\n')).code, 1);
    assert.equal((await w.verify('')).code, 1);
    assert.equal((await w.rotate()).code, 0);
    assert.equal(w.server.breakGlass.kept.length, 1, 'it was not due');
  });

  it('[E-B12] one that nobody else keeps is alone on standard output', async () => {
    await using w = await world('IDENTREE_BREAKGLASS_PASSWORD_TYPE=passphrase\n');
    const rotated = await w.rotate('--local');
    assert.equal(rotated.code, 0, rotated.stderr);
    assert.match(rotated.stdout, /^([a-z]{4,6}-){9}[a-z]{4,6}\n$/);
    assert.equal((await w.verify(rotated.stdout)).code, 0);
    assert.deepEqual(w.server.breakGlass.kept, []);
  });

  it('with nobody there, a server that keeps none makes no password', async () => {
    await using w = await world();
    w.server.breakGlass.escrow = false;
    const rotated = await w.rotate('--unattended');
    assert.deepEqual([rotated.code, rotated.stdout], [1, '']);
    await assert.rejects(readFile(w.file));
  });

  it('where it is turned off, none is made', async () => {
    await using w = await world('IDENTREE_BREAKGLASS_ENABLED=false\n');
    const rotated = await w.rotate('--force');
    assert.equal(rotated.code, 6);
    assert.match(rotated.stderr, /IDENTREE_BREAKGLASS_ENABLED=false/);
  });

  it('what the server told of it counts where client.conf says nothing', async () => {
    await using w = await world();
    await w.told({ breakGlassPasswordType: 'passphrase' });
    assert.match((await w.rotate('--local')).stdout, /^([a-z]{4,6}-){9}[a-z]{4,6}\n$/);
    await w.told({ breakGlassEnabled: false });
    const off = await w.rotate('--force', '--local');
    assert.equal(off.code, 6);
    assert.match(off.stderr, /The server tells its hosts to have no break-glass password.*BREAKGLASS_ENABLED=true in/);
    await using on = await world('IDENTREE_BREAKGLASS_ENABLED=true\n');
    await on.told({ breakGlassEnabled: false });
    assert.equal((await on.rotate('--local')).code, 0);
  });

  it('a host without a server has one too, and whoever runs the command is told', async () => {
    const folders = await createHostFolders('https://identree.example.com');
    const flags = ['--config', folders.paths.config, '--state', folders.paths.state];
    const rotated = await identree(['rotate-breakglass', ...flags]);
    assert.equal(rotated.code, 0, rotated.stderr);
    assert.equal((await identree(['verify-breakglass', ...flags], { input: rotated.stdout })).code, 0);
    await folders.remove();
  });

  it('the agent asks this command, and takes nothing but its clear yes', async () => {
    await using w = await world();
    await w.rotate();
    const password = passwordOf(w.server.breakGlass.kept[0]);
    const program = [process.execPath, MAIN];
    const verify = createVerify(program, w.flags);
    assert.equal(await verify(Buffer.from(password)), true);
    assert.equal(await verify(Buffer.from('no-such-password')), false);
    assert.equal(await createVerify(program, ['--config', '/no/such/file'])(Buffer.from(password)), false);
    assert.equal(await createVerify(['/no/such/program'], w.flags)(Buffer.from(password)), false);
    assert.equal(await createVerify(['/bin/sh', '-c', 'kill -9 $$'], [])(Buffer.from(password)), false);
  });
});
