import assert from 'node:assert/strict';
import { test } from 'node:test';
import { switchAgainstSandbox, unwantedSwitches } from './switches.ts';

test('a switch counts only when it is known to be harmless, however it is written', () => {
  const given = [
    'identree://approve/ABCDEF-123456',
    '--user-data-dir=/tmp/x',
    '--ozone-platform=wayland',
    '--proxy-server=http://127.0.0.1:3128',
    '--ignore-certificate-errors',
    '--ignore-certificate-errors-spki-list=AAAA=',
    '-enable-blink-features=MojoJS',
    '--enable-features=MojoJS',
    '--js-flags=--allow-natives-syntax',
    '--Lang=de',
    '--net-log-capture-mode=Everything',
    '--of-tomorrow',
  ];
  assert.deepEqual(unwantedSwitches(given, true), [
    'ignore-certificate-errors',
    'ignore-certificate-errors-spki-list',
    'enable-blink-features',
    'enable-features',
    'js-flags',
    'Lang',
    'net-log-capture-mode',
    'of-tomorrow',
  ]);
});

test('what would do without a part of the sandbox is found', () => {
  for (const word of ['--no-sandbox', '-no-sandbox', '--disable-seccomp-filter-sandbox', '--No-Sandbox=1']) {
    assert.equal(switchAgainstSandbox(['--background', word]), word);
  }
  assert.equal(switchAgainstSandbox(['--background', 'identree://no-sandbox', '--user-data-dir=/home/sandbox']), null);
});

test('a port to look into the window opens only for a folder that is not the person’s', () => {
  const given = ['--remote-debugging-port=0', '-remote-debugging-pipe', '--remote-debugging-address=0.0.0.0'];
  assert.equal(unwantedSwitches(given, true).length, 3);
  assert.deepEqual(unwantedSwitches(given, false), []);
});
