import assert from 'node:assert/strict';
import { test } from 'node:test';
import { commandWords } from './command-words.ts';
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
