import assert from 'node:assert/strict';
import { test } from 'node:test';
import { keychain, type SafeStorage } from './keychain.ts';

/** What Electron does: `prefix` is `v10` where the key is that of every computer. */
function storage(options: { backend?: string; available?: boolean; prefix?: string } = {}): SafeStorage {
  const { backend = 'gnome_libsecret', available = true, prefix = 'v11' } = options;
  return {
    getSelectedStorageBackend: () => backend,
    isAsyncEncryptionAvailable: async () => available,
    encryptStringAsync: async (text) => Buffer.from(text === '' ? '' : `${prefix}${text}`),
    decryptStringAsync: async (data) => ({ result: data.toString('utf8').slice(3) }),
  };
}

test('a keychain that works seals and opens', async () => {
  const secrets = keychain(storage(), 'linux');
  assert.equal(await secrets.problem(), null);
  assert.equal(await secrets.decrypt(await secrets.encrypt('secret')), 'secret');
});

test('without a keychain, and with one that refuses, that is said', async () => {
  for (const backend of ['basic_text', 'unknown']) {
    assert.equal(await keychain(storage({ backend }), 'linux').problem(), 'missing');
  }
  assert.equal(await keychain(storage({ available: false }), 'linux').problem(), 'refuses');
});

test('one that was given up when the program started is said to refuse, whatever is used in its place', async () => {
  assert.equal(await keychain(storage({ backend: 'basic_text' }), 'linux', () => true).problem(), 'refuses');
});

test('the key that every computer has seals nothing and opens nothing, though Electron says that all is well', async () => {
  const secrets = keychain(storage({ prefix: 'v10' }), 'linux');
  assert.equal(await secrets.problem(), 'refuses');
  await assert.rejects(secrets.encrypt('secret'), /no key/);
  await assert.rejects(secrets.decrypt(Buffer.from('v10secret')), /without a keychain/);
});

test('elsewhere the same characters are of a key of this computer', async () => {
  const secrets = keychain(storage({ prefix: 'v10' }), 'darwin');
  assert.equal(await secrets.problem(), null);
  assert.equal(await secrets.decrypt(await secrets.encrypt('secret')), 'secret');
});
