import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SetupDeps, setUp } from './setup.ts';

const PAM = '/usr/include/security/pam_modules.h';

function machine(options: { has: string[]; isRoot: boolean; aptWorks?: boolean; users?: string[] }) {
  const printed: string[] = [];
  const ran: string[] = [];
  let quiet = false;
  const deps: SetupDeps = {
    isThere: (needs) => options.has.includes(needs),
    isRoot: options.isRoot,
    hasUser: (name) => (options.users ?? ['postgres']).includes(name),
    print: (line) => printed.push(line),
    run: (command, args) => {
      ran.push([command, ...args].join(' '));
      if (args.includes('install')) assert.ok(quiet, 'packages could start their daemons');
      return options.aptWorks ?? true;
    },
    withoutServices: (work) => {
      quiet = true;
      work();
      quiet = false;
    },
  };
  return { deps, printed, ran };
}

test('root with apt gets what is missing for the chosen stages, and is told what', () => {
  const { deps, printed, ran } = machine({ has: ['apt-get', 'make', '/usr/include/stdio.h', PAM], isRoot: true });
  setUp(['native'], false, deps);
  assert.deepEqual(printed, ['set-up: installing gcc (apt-get)']);
  assert.equal(ran.length, 2);
  assert.match(ran[1]!, / install .* gcc$/);
});

test('anybody else is told the command and nothing is run', () => {
  for (const other of [machine({ has: ['apt-get'], isRoot: false }), machine({ has: [], isRoot: true })]) {
    setUp(['native'], false, other.deps);
    assert.deepEqual(other.ran, []);
    assert.match(other.printed[0]!, /sudo apt-get install -y gcc libc6-dev libpam0g-dev make/);
  }
});

test('nothing is said or done when everything is there', () => {
  const { deps, printed, ran } = machine({ has: ['gcc', 'make', '/usr/include/stdio.h', PAM], isRoot: true });
  setUp(['native'], false, deps);
  assert.deepEqual([printed, ran], [[], []]);
});

test('an apt that fails is said and does not end the run', () => {
  const { deps, printed } = machine({ has: ['apt-get'], isRoot: true, aptWorks: false });
  setUp(['native'], false, deps);
  assert.match(printed.at(-1)!, /apt-get failed/);
});

test('the directory server that is compared with starts neither now nor at boot', () => {
  const { deps, ran } = machine({ has: ['apt-get', 'ldapsearch'], isRoot: true });
  setUp(['ldap'], false, deps);
  assert.match(ran[1]!, / install .* slapd$/);
  assert.deepEqual(ran.slice(2), ['update-rc.d slapd disable']);
});

test('a stage, the lab and a bench bring what they need when they run alone', () => {
  const asked = (...stages: string[]) => {
    const { deps, printed } = machine({ has: [], isRoot: false });
    setUp(stages, false, deps);
    return printed.join('\n');
  };
  for (const stage of ['interop', 'hosts', 'directory', 'lab'])
    assert.match(asked(stage), / mmdebstrap .*openssh-client/);
  assert.match(asked('bench'), / gcc .*libssl-dev .*slapd/);
});

test('the user that Postgres runs as is made where there is none', () => {
  const { deps, ran } = machine({ has: [], isRoot: true, users: [] });
  setUp(['unit'], false, deps);
  assert.match(ran.join(), /^useradd .*--system .*postgres$/);
  const other = machine({ has: [], isRoot: false, users: [] });
  setUp(['unit'], false, other.deps);
  assert.deepEqual(other.ran, []);
});
