import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HostRecord } from '#shared/decision.ts';
import { UID } from '../harness/lab.ts';
import { contradiction, type Report, readReports, type Surroundings } from '../harness/sudo-claims.ts';
import { REPORT } from '../harness/sudo-lines.ts';
import { alice, testLines } from '../harness/sudo-lines-run.ts';

describe('what is compared', () => {
  const record = (change: Partial<HostRecord> = {}): HostRecord =>
    ({
      runAs: { user: 'bob', group: null, assurance: 'derived' },
      mode: 'command',
      argv: ['sudo', '-u', 'bob', 'report', 'x'],
      argvTruncated: false,
      target: { path: REPORT, assurance: 'derived', device: '1', inode: '7', sha256: 'right' },
      unrestricted: [],
      cwd: '/srv',
      ...change,
    }) as HostRecord;
  const report = (change: Partial<Report> = {}): Report => ({
    exe: '1:7',
    uid: UID.bob,
    gid: UID.bob,
    cwd: '/srv',
    root: '1:2',
    argv: ['report', 'x'],
    env: ['PATH=/usr/bin'],
    ...change,
  });
  const by: Surroundings = {
    ...alice,
    hashes: new Map([
      ['1:7', 'right'],
      ['1:9', 'right'],
    ]),
    scripts: new Set(['1:9']),
    owned: new Set(['1:8']),
  };

  test('a record that is true contradicts nothing, nor does a refusal', () => {
    assert.equal(contradiction(record(), [report()], by), null);
    assert.equal(contradiction(record(), [], by), null);
    assert.equal(contradiction(null, [], by), null);
    assert.equal(contradiction(null, [report({ uid: UID.alice, gid: UID.alice })], by), null, 'nobody else’s rights');
  });

  for (const [name, claimed, ran] of [
    ['no record', null, {}],
    ['another account', {}, { uid: 0 }],
    ['another group', {}, { gid: 0 }],
    ['another program', {}, { exe: '1:8' }],
    ['other content', { target: { ...record().target!, sha256: 'wrong' } }, {}],
    ['other arguments', {}, { argv: ['report', 'y'] }],
    ['fewer arguments', {}, { argv: ['report'] }],
    ['another name', {}, { argv: ['sh', 'x'] }],
    ['another folder', {}, { cwd: '/' }],
    ['another root', {}, { root: '1:3' }],
    ['a listing', { mode: 'list' }, {}],
    ['a validation', { mode: 'validate' }, {}],
    ['an editor', { mode: 'edit', unrestricted: ['editor'] }, { uid: 0 }],
    ['a shell that is not marked', { mode: 'shell' }, {}],
    ['no program, unmarked', { target: null }, {}],
    ['unparsed, unmarked', { mode: 'unparsed' }, {}],
    ['a loader variable, unmarked', {}, { env: ['LD_PRELOAD=/evil'] }],
  ] as [string, Partial<HostRecord> | null, Partial<Report>][]) {
    test(`found: ${name}`, () => {
      assert.notEqual(contradiction(claimed && record(claimed), [report(ran)], by), null);
    });
  }

  test('a script is its own file, its arguments, and an interpreter that must not be the person’s unmarked', () => {
    const target = { ...record().target!, inode: '9' };
    const argv = [REPORT, '/usr/local/bin/shebang', 'x'];
    assert.equal(contradiction(record({ target }), [report({ argv })], by), null);
    assert.notEqual(contradiction(record({ target }), [report({ argv: [...argv, 'y'] })], by), null);
    assert.notEqual(contradiction(record({ target }), [report({ argv, exe: '1:8' })], by), null, 'not marked');
    const marked = { target: { ...target, sha256: null }, unrestricted: ['user-writable-target'] } as const;
    const changed = record({ target: marked.target, unrestricted: [...marked.unrestricted] });
    assert.equal(contradiction(changed, [report({ argv, exe: '1:8' })], by), null);
  });

  test('a record may say that anything may run', () => {
    const marked = record({ mode: 'unparsed', unrestricted: ['unparsed'] });
    assert.equal(contradiction(marked, [report({ uid: 0, exe: '9:9' })], by), null);
    assert.notEqual(contradiction(marked, [report()], { ...by, gate: 'plugin' }), null, 'the plugin is told');
  });

  test('reports are read between what others print', () => {
    const text = 'hello\nexe=1:7\0uid=0\0gid=0\0cwd=/\0root=1:2\0argv=a\0argv=\0env=A=b=c\0end=\0tail';
    assert.deepEqual(readReports(Buffer.from(text)), [
      { exe: '1:7', uid: 0, gid: 0, cwd: '/', root: '1:2', argv: ['a', ''], env: ['A=b=c'] },
    ]);
    assert.deepEqual(readReports(Buffer.from(text.slice(0, 40))), []);
  });
});

testLines('bookworm', [['sudo 1.9.13', '/usr/bin/sudo']], 'pam');
