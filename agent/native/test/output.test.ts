import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { answering, frame, isRoot, patience, startStage, temporaryFolder } from './support.ts';

const skip = isRoot ? false : 'only root may take over a descriptor of another process everywhere';
const talking = () => answering(frame('A'), frame('T', 'Open this link'), frame('T', 'Waiting'), frame('V', '0'));

/** A stand-in for sudo without a terminal: a shell whose child is the stage, with `redirected` output. */
async function run(redirected: string, cwd = '/') {
  const { dir } = await talking();
  // `exit`: the shell must not become the stage.
  const wrapper = ['/bin/bash', '--norc', '-c', `"$@" ${redirected}; code=$?; echo the command; exit $code`, 'sh'];
  return startStage({ agentDir: dir, wrapper, tellsParent: true, cwd }).ended;
}

test('without a terminal text goes to standard error of sudo, never to its output', { ...patience, skip }, async () => {
  const end = await run('');
  assert.deepEqual([end.code, end.text, end.stderr], [0, 'the command\n', 'Open this link\nWaiting\n']);
});

test('whatever the stage itself was given as output', { ...patience, skip }, async () => {
  const end = await run('>/dev/null 2>/dev/null');
  assert.deepEqual([end.code, end.text, end.stderr], [0, 'the command\n', 'Open this link\nWaiting\n']);
});

for (const [name, how] of [
  ['closed', 'exec 2>&-'],
  ['opened for reading only', 'exec 2<kept'],
] as const)
  test(`standard error that is ${name}: nothing is said, and the verdict counts`, { ...patience, skip }, async () => {
    const cwd = temporaryFolder();
    writeFileSync(join(cwd, 'kept'), 'as it was');
    const { dir } = await talking();
    const wrapper = [
      '/bin/bash',
      '--norc',
      '-c',
      `${how}; "$@" 2>/dev/null; code=$?; echo the command; exit $code`,
      'sh',
    ];
    const end = await startStage({ agentDir: dir, wrapper, tellsParent: true, cwd }).ended;
    assert.deepEqual([end.code, end.text, end.stderr], [0, 'the command\n', '']);
    assert.equal(readFileSync(join(cwd, 'kept'), 'utf8'), 'as it was');
  });

test('who reads standard error has gone: the request is withdrawn', { ...patience, skip }, async () => {
  const agent = await answering(frame('A'), frame('T', 'Open this link'));
  const wrapper = ['/bin/bash', '--norc', '-c', 'exec 2> >(exec true); wait $!; "$@" 2>/dev/null; exit $?', 'sh'];
  const end = await startStage({ agentDir: agent.dir, wrapper, tellsParent: true }).ended;
  assert.equal(end.code, 1);
  assert.deepEqual([...(await agent.callers[0]!.rest())], [...frame('C', 'hangup')]);
});
