import { testLines } from '../harness/sudo-lines-run.ts';

testLines(
  'trixie',
  [
    ['sudo 1.9.16', '/usr/bin/sudo'],
    ['sudo-rs 0.2.5', '/usr/bin/sudo-rs'],
  ],
  'pam',
);
