import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { helloPayload } from '../testing/fake-hook.ts';
import { type Hello, parseHello } from './hello.ts';

const SUDO = {
  v: 1,
  mode: 'sudo',
  service: 'sudo',
  user: 'alice',
  ruser: 'alice',
  tty: '/dev/pts/1',
  ppid: 10,
  pstart: 99,
  uid: 5,
  ruid: 5,
  cols: 80,
  rows: 24,
  fg: 1,
};
const parse = (fields: Record<string, string | number>) => parseHello(helloPayload(fields)) as Hello | null;

describe('hello', () => {
  it('of sudo', () => {
    assert.deepEqual(parse(SUDO), {
      mode: 'sudo',
      service: 'sudo',
      user: 'alice',
      uid: 5,
      tty: '/dev/pts/1',
      rhost: null,
      sshConnection: null,
      sshAuthInfo: null,
      ppid: 10,
      pstart: '99',
      foreground: true,
      cols: 80,
      rows: 24,
    });
  });

  it('of sshd', () => {
    const hello = parse({
      v: 1,
      mode: 'ssh-begin',
      service: 'sshd',
      user: 'bob',
      ppid: 10,
      pstart: 99,
      uid: 7,
      rhost: '192.0.2.1',
      ssh_connection: '192.0.2.1 5 192.0.2.2 22',
      fg: 0,
    });
    assert.equal(hello?.user, 'bob');
    assert.equal(hello?.rhost, '192.0.2.1');
    assert.equal(hello?.sshConnection, '192.0.2.1 5 192.0.2.2 22');
  });

  it('under rootpw the asking account counts, with its own uid', () => {
    const hello = parse({ ...SUDO, user: 'root', uid: 0, ruser: 'alice', ruid: 1000 });
    assert.deepEqual([hello?.user, hello?.uid], ['alice', 1000]);
    const { ruid: _, ...without } = { ...SUDO, user: 'root', uid: 0 };
    assert.equal(parse(without)?.uid, null, 'the uid of another account is not borrowed');
  });

  it('sshd cannot name another account as the asking one', () => {
    assert.equal(parse({ ...SUDO, mode: 'ssh-wait', user: 'bob', uid: 7, ruser: 'root', ruid: 0 })?.user, 'bob');
  });

  it('uid 0 and the largest uid are numbers, more is none', () => {
    assert.equal(parse({ ...SUDO, ruid: 0 })?.uid, 0);
    assert.equal(parse({ ...SUDO, ruid: 4294967295 })?.uid, 4294967295);
    assert.equal(parse({ ...SUDO, ruid: 4294967296 })?.uid, null);
    assert.equal(parse({ ...SUDO, ruid: '-1' })?.uid, null);
    assert.equal(parse({ ...SUDO, ruid: '0x0' })?.uid, null);
  });

  it('a field twice, a field without a name or an end, and no field at all are refused', () => {
    const text = helloPayload(SUDO).toString();
    assert.equal(parseHello(Buffer.from(`${text}ruid=0\0`)), null);
    assert.equal(parseHello(Buffer.from(`${text}=x\0`)), null);
    assert.equal(parseHello(Buffer.from(`${text}x\0`)), null);
    assert.equal(parseHello(Buffer.from(text.slice(0, -1))), null);
    assert.equal(parseHello(Buffer.alloc(0)), null);
    assert.equal(parseHello(Buffer.from('\0')), null);
  });

  for (const name of ['', '.', '..', '-x', 'a b', 'a/b', 'a\nb', 'ä', 'x'.repeat(65), 'a\u202eb']) {
    it(`the account name ${JSON.stringify(name)} is refused`, () =>
      assert.equal(parse({ ...SUDO, user: name, ruser: name }), null));
  }
});
