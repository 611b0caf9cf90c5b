import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { z } from 'zod';
import { createJsonFile } from './json-file.ts';
import { boundsFile, partitionOf, profileFile } from './profile.ts';

function folderOf(t: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'identree-json-'));
  t.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

test('what is written is read, readable by its owner alone, and nothing else stays', async (t) => {
  const folder = folderOf(t);
  const file = createJsonFile(join(folder, 'a.json'), z.object({ n: z.number() }));
  assert.equal(await file.read(), null);
  await file.write({ n: 1 });
  await file.write({ n: 2 });
  assert.deepEqual(await file.read(), { n: 2 });
  assert.deepEqual(readdirSync(folder), ['a.json']);
  assert.equal(statSync(join(folder, 'a.json')).mode & 0o777, 0o600);
  await file.remove();
  await file.remove();
  assert.equal(await file.read(), null);
});

test('writes at the same time: the last one called stays, and it is whole', async (t) => {
  const folder = folderOf(t);
  const file = createJsonFile(join(folder, 'a.json'), z.object({ n: z.number(), pad: z.string() }));
  await Promise.all(Array.from({ length: 20 }, (_, n) => file.write({ n, pad: 'x'.repeat(1000) })));
  assert.equal((await file.read())?.n, 19);
});

test('a write that fails leaves the old text', async (t) => {
  const folder = folderOf(t);
  const file = createJsonFile(join(folder, 'a.json'), z.object({ n: z.number() }));
  await file.write({ n: 1 });
  mkdirSync(join(folder, 'a.json.new'));
  await assert.rejects(file.write({ n: 2 }));
  assert.deepEqual(await file.read(), { n: 1 });
  rmSync(join(folder, 'a.json.new'), { recursive: true });
  const blocked = createJsonFile(join(folder, 'b.json'), z.object({ n: z.number() }));
  mkdirSync(join(folder, 'b.json'));
  await assert.rejects(blocked.write({ n: 2 }));
  assert.deepEqual(readdirSync(folder).sort(), ['a.json', 'b.json'], 'on a full disk every half of a file counts');
  await file.write({ n: 3 });
  assert.deepEqual(await file.read(), { n: 3 });
});

test('what cannot be read is said, left as it is, and kept beside what takes its place', async (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'a.json');
  const file = createJsonFile(path, z.object({ n: z.number() }));
  assert.equal(await file.read(), null);
  assert.equal(file.unreadable(), null, 'there is none');
  writeFileSync(path, '{"n":');
  assert.equal(await file.read(), null);
  assert.equal(file.unreadable(), path);
  assert.deepEqual(readdirSync(folder), ['a.json']);
  await file.write({ n: 2 });
  assert.equal(file.unreadable(), null);
  assert.equal(readFileSync(`${path}.unreadable`, 'utf8'), '{"n":');
  assert.deepEqual(await file.read(), { n: 2 });
  await file.write({ n: 3 });
  assert.equal(readFileSync(`${path}.unreadable`, 'utf8'), '{"n":');
});

test('what cannot be read and cannot be kept is not replaced', async (t) => {
  const folder = folderOf(t);
  const path = join(folder, 'a.json');
  const file = createJsonFile(path, z.object({ n: z.number() }));
  writeFileSync(path, 'x');
  mkdirSync(`${path}.unreadable`);
  assert.equal(await file.read(), null);
  await assert.rejects(file.write({ n: 2 }));
  assert.equal(readFileSync(path, 'utf8'), 'x');
});

describe('what others could have laid into the folder', () => {
  const text = '{"n":1}\n';
  const schema = z.object({ n: z.number() });
  const prepare = (t: TestContext) => {
    const folder = folderOf(t);
    const path = join(folder, 'a.json');
    return { path, other: join(folder, 'other'), file: createJsonFile(path, schema) };
  };

  test('a link is not read, and what it leads to is not written', async (t) => {
    const { path, other, file } = prepare(t);
    writeFileSync(other, text, { mode: 0o600 });
    symlinkSync(other, path);
    assert.equal(await file.read(), null);
    for (const link of [path, `${path}.new`]) {
      rmSync(link, { force: true });
      symlinkSync(other, link);
      await file.write({ n: 2 });
      assert.equal(readFileSync(other, 'utf8'), text);
      assert.deepEqual(await file.read(), { n: 2 });
      assert.ok(!existsSync(`${path}.new`));
    }
  });

  test('a pipe is not waited for', async (t) => {
    const { path, file } = prepare(t);
    execFileSync('mkfifo', [path]);
    assert.equal(await file.read(), null);
    await file.write({ n: 2 });
    assert.deepEqual(await file.read(), { n: 2 });
  });

  test('a file of another user, or one that others may write, is none', async (t) => {
    const { path, file } = prepare(t);
    writeFileSync(path, text, { mode: 0o600 });
    assert.deepEqual(await file.read(), { n: 1 });
    for (const mode of [0o620, 0o602]) {
      chmodSync(path, mode);
      assert.equal(await file.read(), null, mode.toString(8));
    }
    chmodSync(path, 0o644);
    assert.deepEqual(await file.read(), { n: 1 });
    const { getuid } = process;
    t.after(() => Object.assign(process, { getuid }));
    Object.assign(process, { getuid: () => getuid!() + 1 });
    assert.equal(await file.read(), null);
  });
});

const ORIGIN = 'https://identree.example.com';

test('profiles that were edited are read like typed text: anything but a canonical safe origin is none', async (t) => {
  const folder = folderOf(t);
  const file = profileFile(folder);
  const one = { origin: ORIGIN, name: 'Work', colour: 'teal' as const };
  await file.write({ v: 2, active: ORIGIN, list: [one] });
  assert.deepEqual(await file.read(), { v: 2, active: ORIGIN, list: [one] });
  const bad = [
    'http://identree.example.com',
    'https://identree.example.com/',
    'https://IDENTREE.example.com',
    'https://a@identree.example.com',
    'file:///etc',
    'app://console',
    '',
  ];
  for (const text of [
    ...bad.map((origin) => ({ v: 1, origin })),
    ...bad.map((origin) => ({ v: 2, active: ORIGIN, list: [one, { ...one, origin }] })),
    ...bad.map((origin) => ({ v: 2, active: origin, list: [one] })),
    { v: 2, active: ORIGIN, list: [one, { ...one, name: 'Again' }] },
    { v: 2, active: ORIGIN, list: [{ ...one, name: 'Wo\u202erk' }] },
    { v: 2, active: ORIGIN, list: [{ ...one, name: '' }] },
    { v: 2, active: ORIGIN, list: [{ ...one, colour: 'url(x)' }] },
  ]) {
    writeFileSync(join(folder, 'profile.json'), JSON.stringify(text));
    assert.equal(await file.read(), null, JSON.stringify(text));
  }
  writeFileSync(join(folder, 'profile.json'), readFileSync('/dev/null'));
  assert.equal(await file.read(), null);
});

test('what was kept when there was one server is taken over', async (t) => {
  const folder = folderOf(t);
  writeFileSync(join(folder, 'profile.json'), JSON.stringify({ v: 1, origin: ORIGIN }));
  const list = [{ origin: ORIGIN, name: 'identree.example.com', colour: 'blue' }];
  assert.deepEqual(await profileFile(folder).read(), { v: 2, active: ORIGIN, list });
  writeFileSync(join(folder, 'window.json'), JSON.stringify({ v: 1, x: 5, y: 6, width: 900, height: 700 }));
  assert.deepEqual((await boundsFile(folder).read())?.windows, { '*': { x: 5, y: 6, width: 900, height: 700 } });
});

test('bounds that no screen can show are none', async (t) => {
  const folder = folderOf(t);
  const file = boundsFile(folder);
  const windows = { [ORIGIN]: { x: -50, y: 10, width: 900, height: 700 } };
  await file.write({ v: 2, windows });
  assert.deepEqual(await file.read(), { v: 2, windows });
  for (const bounds of [{ width: 1, height: 1 }, { width: 1e9, height: 700 }, { width: 900.5, height: 700 }, {}]) {
    writeFileSync(join(folder, 'window.json'), JSON.stringify({ v: 2, windows: { [ORIGIN]: bounds } }));
    assert.equal(await file.read(), null);
  }
});

test('each server has storage of its own, and its name gives nothing away', () => {
  const a = partitionOf({ origin: 'https://a.example.com' });
  assert.notEqual(a, partitionOf({ origin: 'https://b.example.com' }));
  assert.match(a, /^persist:server-[0-9a-f]{32}$/);
});
