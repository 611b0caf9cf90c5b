import { testLines } from '../harness/sudo-lines-run.ts';

testLines('bookworm', [['sudo 1.9.13', '/usr/bin/sudo']], 'plugin');
testLines('trixie', [['sudo 1.9.16', '/usr/bin/sudo']], 'plugin');
