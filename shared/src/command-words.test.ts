import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandLine, commandWords } from './command-words.ts';
import { sampleRecord, sampleResolved } from './testing/request-record.ts';

const HOST_ID = '0b9f6a52-5f2b-4c0e-9d0e-2f6f3f1f7a10';

test('what sudo executes is shown, whatever name the program is told', () => {
  const words = (argv: string[], command: string) =>
    commandWords(sampleRecord({ hostId: HOST_ID, gate: 'plugin', argv, resolved: sampleResolved(command) }));
  assert.deepEqual(words(['/usr/bin/id', '-u'], '/home/alice/id'), {
    words: ['/home/alice/id', '-u'],
    calledAs: '/usr/bin/id',
  });
  assert.deepEqual(words(['id'], '/usr/bin/id'), { words: ['/usr/bin/id'], calledAs: null });
  assert.deepEqual(words(['-bash'], '/bin/bash'), { words: ['/bin/bash'], calledAs: '-bash' });
});

test('what was typed is shown where sudo told nothing', () => {
  const argv = ['sudo', '-u', 'bob', 'id'];
  assert.deepEqual(commandWords(sampleRecord({ hostId: HOST_ID, argv })), { words: argv, calledAs: null });
});

test('the command is the path that sudo executes; what it is called is said where that is another name', () => {
  const plugin = (argv: string[], command: string) =>
    sampleRecord({ hostId: HOST_ID, gate: 'plugin', argv, resolved: sampleResolved(command) });
  const line = (argv: string[], command: string) => commandLine(plugin(argv, command));
  assert.equal(line(['id', '-u'], '/usr/bin/id'), '/usr/bin/id -u');
  assert.equal(line(['/usr/bin/id', '-u'], '/usr/bin/id'), '/usr/bin/id -u');
  assert.equal(line(['-bash'], '/bin/bash'), '/bin/bash (as -bash)');
  assert.equal(line(['rm', '-rf', '/srv'], '/bin/busybox'), '/bin/busybox (as rm) -rf /srv');
  assert.equal(line(['x', '(as', 'rm)'], '/opt/x'), "/opt/x '(as' 'rm)'", 'an argument cannot pass for it');
  assert.equal(line([], '/usr/bin/id'), '/usr/bin/id');
  assert.equal(commandLine({ ...plugin(['id', 'a'], '/usr/bin/id'), argvTruncated: true }), '/usr/bin/id a …');
});

test('under the PAM gate the command is what was typed, and at ssh it is the login', () => {
  assert.equal(commandLine(sampleRecord({ hostId: HOST_ID })), 'sudo id');
  assert.equal(commandLine(sampleRecord({ hostId: HOST_ID, gate: 'ssh' })), 'ssh login as alice');
});
