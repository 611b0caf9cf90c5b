import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { copyFile, link, mkdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { type ApproverKeyRequest, setDigest } from '#shared/approver-key-request.ts';
import { signToken, tokenType } from '#shared/token.ts';
import { ed25519Pem, signingKey } from '../platform/key-files.ts';
import { openRoot } from '../testing/test-root.ts';

const read = async (path: string) => JSON.parse(await readFile(path, 'utf8')) as ApproverKeyRequest;

test('the root is exported into a new file that others cannot read, and leaves the server only when that file has it', async (t) => {
  const { config, path, run, must, root, app } = await openRoot(t, { detached: false });
  const there = join(config.keysDir, 'trust-root.pem');
  const pem = await readFile(there, 'utf8');
  await must('trust', 'export', root);
  assert.equal(await readFile(root, 'utf8'), pem);
  assert.equal((await stat(root)).mode & 0o777, 0o600);
  assert.match((await run('trust', 'export', root)).err, /cannot write .*: it is there already/);

  await writeFile(path('other.pem'), ed25519Pem(), { mode: 0o600 });
  for (const wrong of [path('other.pem'), path('missing.pem'), join(config.keysDir, 'server.json')]) {
    assert.equal((await run('trust', 'detach', wrong)).code, 1);
    assert.equal(await readFile(there, 'utf8'), pem, 'it stays');
  }
  // It would be removed with the root, or stay beside its delegate and in every backup.
  const inside = join(config.keysDir, 'carried.pem');
  assert.match((await run('trust', 'export', inside)).err, /in the keys folder/);
  await writeFile(inside, pem, { mode: 0o600 });
  await symlink(there, path('link.pem'));
  await link(there, path('same.pem'));
  for (const same of [there, inside, path('link.pem'), path('same.pem')]) {
    assert.match((await run('trust', 'detach', same)).err, /in the keys folder|no copy of it/);
    assert.equal(await readFile(there, 'utf8'), pem, 'it stays');
    assert.equal(existsSync(`${same}.set`), false);
  }
  const said = await must('trust', 'detach', root);
  assert.match(said, /Restart every server/);
  assert.equal(existsSync(there), false);
  for (const command of ['export', 'detach']) {
    assert.match((await run('trust', command, path('again.pem'))).err, /taken off line/);
  }
  const names = (await app.events.read(0, 10_000)).map(({ event }) => event);
  assert.equal(names.filter((name) => name === 'trust_root_detached').length, 1);
});

test('a request is shown before it is signed, and exactly what was shown is signed', async (t) => {
  const { path, run, must, root, addPasskey } = await openRoot(t, { detached: true });
  assert.match(await must('trust', 'request', path('nothing')), /Nothing waits/);
  assert.equal(existsSync(path('nothing')), false);
  const fresh = await addPasskey!();
  const file = path('request.json');
  assert.match(await must('trust', 'request', file), new RegExp(`\\+ "alice".*${fresh.credentialId}`));
  const shown = await must('trust', 'sign', file, '--root', root);
  assert.match(shown, /Nothing was signed/);
  const digest = setDigest((await read(file)).set);
  assert.ok(shown.includes(digest));

  const signature = path('signature.jws');
  const sign = (...more: string[]) => run('trust', 'sign', file, '--root', root, '--signature', signature, ...more);
  assert.equal((await sign()).code, 2);
  const other = await sign('--digest', 'A'.repeat(43));
  assert.match(other.err, /Nothing was signed/);
  assert.equal(existsSync(signature), false);
  assert.equal((await sign('--digest', digest)).code, 0);
});

test('what is shown is the difference to what hosts have: a request that says otherwise is not signed', async (t) => {
  const { path, run, must, root, addPasskey } = await openRoot(t, { detached: true });
  await addPasskey!();
  const file = path('request.json');
  await must('trust', 'request', file);
  const request = await read(file);
  const stranger = await signingKey(ed25519Pem());
  const changed: Record<string, ApproverKeyRequest> = {
    // So that a key of their own would be in force already, and nothing to look at.
    'another set in force': {
      ...request,
      inForce: await signToken(tokenType.approverKeys, { ...request.set, version: 1 }, stranger),
    },
    'of another server': { ...request, serverId: '5f9f4f8a-9f4c-4f58-8f2e-2a9f5c0d7b11' },
    'a set of another server': { ...request, set: { ...request.set, iss: '5f9f4f8a-9f4c-4f58-8f2e-2a9f5c0d7b11' } },
    'no newer version': { ...request, set: { ...request.set, version: 1 } },
    // After which none could follow.
    'the last version that there can be': { ...request, set: { ...request.set, version: Number.MAX_SAFE_INTEGER } },
  };
  for (const [name, content] of Object.entries(changed)) {
    const forged = path(`${name}.json`);
    await writeFile(forged, JSON.stringify(content));
    const signature = path(`${name}.jws`);
    const digest = setDigest(content.set);
    const result = await run('trust', 'sign', forged, '--root', root, '--digest', digest, '--signature', signature);
    assert.equal(result.code, 1, name);
    assert.equal(existsSync(signature), false, name);
  }
});

test('a passkey that was removed does not come back unseen, and no name, key or address hides what is signed', async (t) => {
  const { path, run, must, root, addPasskey } = await openRoot(t, { detached: true });
  const stolen = await addPasskey!();
  const added = new RegExp(`\\+ .*${stolen.credentialId}`);
  const write = (name: string, request: ApproverKeyRequest) => writeFile(path(name), JSON.stringify(request));
  const show = async (name: string, request: ApproverKeyRequest, key = root) => {
    await write(name, request);
    return must('trust', 'sign', path(name), '--root', key);
  };
  const sign = async (name: string, request: ApproverKeyRequest, key = root) => {
    await show(name, request, key);
    const digest = setDigest(request.set);
    await must('trust', 'sign', path(name), '--root', key, '--digest', digest, '--signature', path(`${name}.jws`));
    return (await readFile(path(`${name}.jws`), 'utf8')).trim();
  };
  await must('trust', 'request', path('request'));
  const first = await read(path('request'));
  const withIt = await sign('with it', first);
  const late = path('late.pem');
  for (const end of ['', '.set']) await copyFile(`${root}${end}`, `${late}${end}`);
  const { set } = first;
  const keys = set.keys.filter(({ credentialId }) => credentialId !== stolen.credentialId);
  const removal = { ...first, inForce: withIt, set: { ...set, version: set.version + 1, keys } };
  const without = await sign('without it', removal);
  const noted = await readFile(`${root}.set`, 'utf8');
  const again = { ...first, inForce: without, set: { ...set, version: set.version + 2 } };
  assert.match(await show('again', again), added);

  // After a set of before: what was noted last would go back to it, and the passkey be in what the next is compared with.
  const sets = { back: { ...set, version: set.version + 1 }, aside: { ...removal.set, issuedAt: set.issuedAt + 1 } };
  for (const [name, behind] of Object.entries(sets)) {
    await write(name, { ...removal, set: behind });
    const digest = setDigest(behind);
    const signature = path(`${name}.jws`);
    const refused = await run(
      'trust',
      'sign',
      path(name),
      '--root',
      root,
      '--digest',
      digest,
      '--signature',
      signature,
    );
    assert.match(refused.err, new RegExp(`signed version ${behind.version} already`));
    assert.equal(existsSync(signature), false);
    assert.equal(await readFile(`${root}.set`, 'utf8'), noted);
  }
  // What was signed and did not arrive is written once more, and is nothing else.
  assert.equal(await sign('once more', removal), without);

  // Another copy of the root knows less, and says so; what it signs instead is not what this one compares with.
  assert.match(await show('elsewhere', again, late), /newer one was signed elsewhere is not known/);
  const twin = await sign('twin', { ...removal, set: sets.back }, late);
  assert.match(await show('after the twin', { ...again, inForce: twin }), added);

  const [mine] = keys;
  const odd = { ...mine!, username: 'ali\u202ece\u009b2K', issuer: '\u001b[2Khttps://idp' };
  const other = { ...mine!, jwk: { ...mine!.jwk, x: 'AAAA' } };
  const hidden = await show('hidden', { ...again, set: { ...again.set, keys: [odd, other], origins: ['\u001b[1A'] } });
  assert.doesNotMatch(hidden, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u202a-\u202e]/);
  assert.match(hidden, /WITH ANOTHER PUBLIC KEY/);
});

test('what cannot be noted is not signed', async (t) => {
  const { path, run, must, root, addPasskey } = await openRoot(t, { detached: true });
  await addPasskey!();
  await must('trust', 'request', path('request'));
  const digest = setDigest((await read(path('request'))).set);
  await mkdir(path('root.pem.set.new'));
  const signature = path('signature');
  const args = ['trust', 'sign', path('request'), '--root', root, '--digest', digest, '--signature', signature];
  assert.equal((await run(...args)).code, 1);
  assert.equal(existsSync(signature), false);
});

test('only a newer set that the root has signed is attached', async (t) => {
  const { app, path, run, must, root, addPasskey } = await openRoot(t, { detached: true });
  const { version, token: old } = await app.approverKeys.current(app.db.query);
  await addPasskey!();
  await must('trust', 'request', path('request.json'));
  const { set } = await read(path('request.json'));
  const key = await signingKey(await readFile(root, 'utf8'));
  const stranger = await signingKey(ed25519Pem());
  const refused: Record<string, string> = {
    'an old one': old,
    'of a stranger': await signToken(tokenType.approverKeys, set, stranger),
    'of another type': await signToken(tokenType.certificate, set, key),
    'for another address': await signToken(tokenType.approverKeys, { ...set, rpId: 'evil.example' }, key),
    'no token': 'hello',
  };
  for (const [name, token] of Object.entries(refused)) {
    await writeFile(path(name), token);
    assert.equal((await run('trust', 'attach', path(name))).code, 1, name);
    assert.equal((await app.approverKeys.current(app.db.query)).version, version, name);
  }
  await writeFile(path('good'), await signToken(tokenType.approverKeys, set, key));
  // Meanwhile there is one more, which the root has not seen.
  await addPasskey!();
  assert.match(await must('trust', 'attach', path('good')), /which waits/);
  assert.equal((await app.approverKeys.current(app.db.query)).version, version + 1);
  assert.equal((await run('trust', 'attach', path('good'))).code, 1, 'not twice');
});

test('an attempt to take it off line that broke off is done again', async (t) => {
  const { config, must, root } = await openRoot(t, { detached: false });
  await must('trust', 'export', root);
  await writeFile(join(config.keysDir, 'delegate.pem'), 'half a ke', { mode: 0o600 });
  await must('trust', 'show');
  await must('trust', 'detach', root);
  await must('trust', 'show');
});
