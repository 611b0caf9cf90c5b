import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { networkInterfaces } from 'node:os';
import { test } from 'node:test';
import { inOwnNetwork } from './own-network.ts';

const PROGRAM = 'console.log(JSON.stringify(Object.keys(require("node:os").networkInterfaces())))';

test('a command in a network of its own sees that one only, and gets its arguments and exit code', () => {
  const [program, ...args] = inOwnNetwork([process.execPath, '-e', `${PROGRAM}; process.exitCode = 7`, 'a b', "'"]);
  const { status, stdout } = spawnSync(program!, args, { encoding: 'utf8' });
  assert.equal(status, 7);
  const seen = JSON.parse(stdout) as string[];
  // Nobody but root can make one; then it is run as it is.
  if (program === 'unshare') assert.deepEqual(seen.sort(), ['inside', 'lo', 'outside']);
  else assert.deepEqual(seen, Object.keys(networkInterfaces()));
});
