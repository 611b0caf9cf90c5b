import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { createBroker, createClient } from 'dbus-native';
import { keyringWouldHold } from './keyring-probe.ts';

async function startBus(t: TestContext): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'identree-bus-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const broker = createBroker();
  t.after(() => void broker.close());
  return new Promise((resolve, reject) => {
    broker.listen({ socket: join(folder, 'bus') }, (error, where) => (error ? reject(error) : resolve(where)));
  });
}

for (const name of ['org.freedesktop.secrets', 'org.kde.kwalletd6']) {
  test(`${name} that hears nothing is silent, one that refuses is not`, async (t) => {
    const address = await startBus(t);
    const keyring = createClient({ busAddress: address });
    t.after(() => void keyring.connection.end());
    await keyring.requestName(name, 0);
    assert.equal(await keyringWouldHold(address, { patienceMs: 5000 }), false, 'it says that there is no such object');
    keyring.connection.removeAllListeners('message');
    assert.equal(await keyringWouldHold(address, { patienceMs: 100 }), true);
  });
}

test('a bus that takes every call and answers none does not hold the program up', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'identree-bus-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const bus = createServer((socket) => socket.resume()).listen(join(folder, 'bus'));
  t.after(() => void bus.close());
  assert.equal(await keyringWouldHold(`unix:path=${join(folder, 'bus')}`, { patienceMs: 100 }), true);
});

test('where there is no keyring, no bus, or none that answers, none is silent', async (t) => {
  assert.equal(await keyringWouldHold(await startBus(t), { patienceMs: 5000 }), false);
  for (const address of [
    undefined,
    '',
    'unix:path=/nonexistent/bus',
    'disabled:',
    'autolaunch:',
    'unix:',
    'nonsense',
  ]) {
    assert.equal(await keyringWouldHold(address, { patienceMs: 5000 }), false);
  }
});

for (const [name, options, expected] of [
  ['unlocked', { alias: '/org/freedesktop/secrets/collection/login', locked: false }, false],
  ['locked', { alias: '/org/freedesktop/secrets/collection/login', locked: true }, true],
  ['not made yet', { alias: '/', locked: false }, true],
] as const) {
  test(`a keyring that is ${name} ${expected ? 'would' : 'need not'} ask the person for a password`, async (t) => {
    const address = await startBus(t);
    const keyring = createClient({ busAddress: address });
    t.after(() => void keyring.connection.end());
    const { alias, locked } = options;
    const readAlias = () => alias;
    keyring.exportInterface({ ReadAlias: readAlias }, '/org/freedesktop/secrets', {
      name: 'org.freedesktop.Secret.Service',
      methods: { ReadAlias: ['s', 'o', ['name'], ['collection']] },
    });
    if (alias !== '/') {
      keyring.exportInterface({ Locked: locked }, alias, {
        name: 'org.freedesktop.Secret.Collection',
        properties: { Locked: { type: 'b', access: 'read' } },
      });
    }
    await keyring.requestName('org.freedesktop.secrets', 0);
    assert.equal(await keyringWouldHold(address, { patienceMs: 5000 }), expected);
  });
}
