import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { type HostRecord, hostRecord } from '#shared/decision.ts';
import type { Host, Suite } from '../harness/lab.ts';
import { CODE, granted } from '../harness/person.ts';
import { type Asked, ask, mark, openWorld, skip, type World } from '../harness/world.ts';

const recordOf = (request: Asked): HostRecord => hostRecord.parse(JSON.parse(request.row().record));

/** The sudos that the PAM gate has to understand, and whether each is Todd Miller's or the one written in Rust. */
const SUDOS: [name: string, suite: Suite, sudo: string, kind: 'sudo' | 'sudo-rs'][] = [
  ['sudo of Debian 12', 'bookworm', '/usr/bin/sudo', 'sudo'],
  ['sudo of Debian 13', 'trixie', '/usr/bin/sudo', 'sudo'],
  ['sudo-rs of Debian 13', 'trixie', '/usr/bin/sudo-rs', 'sudo-rs'],
];

for (const [name, suite, sudo, kind] of SUDOS)
  describe(`the PAM gate and what ${name} finds out by itself`, { concurrency: false }, () => {
    let world: World;
    let host: Host;
    before(async () => {
      if (skip) return;
      world = await openWorld({ hosts: [], people: ['alice'] });
      host = await world.addHost('web1', { suite });
      await host.sh(`mkdir -p /home/alice/bin; printf '#!/bin/sh\\necho the own one\\n' > /home/alice/bin/id
      chmod 755 /home/alice/bin/id; chown -R alice:alice /home/alice/bin`);
    });
    after(() => world?.close());

    /** Approves what is typed, and gives what was signed and what was seen. */
    async function run(command: readonly string[], options: { env?: Record<string, string> } = {}) {
      const request = await ask(world, host, 'alice', command, options);
      const record = recordOf(request);
      granted(await world.person('alice').approve(request.code));
      const code = await request.terminal.exit;
      return { record, code, text: request.terminal.text() };
    }
    const OWN_FIRST = { PATH: '/home/alice/bin:/usr/bin:/bin' };

    /** Changes the rules of sudo for as long as `work` takes. */
    async function withRules<T>(rules: string, work: () => Promise<T>): Promise<T> {
      await host.sh(`cp -p /etc/sudoers /etc/sudoers.kept; ${rules}; visudo -qc`);
      try {
        return await work();
      } finally {
        await host.sh('cp -p /etc/sudoers.kept /etc/sudoers; rm -f /etc/sudoers.d/more');
      }
    }
    const without = "sed -i '/secure_path/d' /etc/sudoers";
    const also = (line: string) => `printf '%s\\n' '${line}' > /etc/sudoers.d/more; chmod 440 /etc/sudoers.d/more`;

    test('with secure_path the program that sudo finds is the one that is signed', { skip }, async () => {
      const { record, text } = await run([sudo, 'id', '-u'], { env: OWN_FIRST });
      assert.equal(record.target?.path, '/usr/bin/id');
      assert.notEqual(record.target.sha256, null);
      assert.deepEqual(record.unrestricted, []);
      assert.match(text, /^0$/m);
    });

    test('without secure_path sudo runs the program of whoever asks, and the record claims no other', {
      skip,
    }, async () => {
      for (const rules of [without, also('Defaults:alice !secure_path')]) {
        await withRules(rules, async () => {
          const { record, text } = await run([sudo, 'id', '-u'], { env: OWN_FIRST });
          assert.match(text, /the own one/, 'this is what sudo does');
          assert.deepEqual([record.mode, record.target, record.unrestricted], ['unparsed', null, ['unparsed']], rules);
        });
      }
    });

    test('another secure_path is searched as sudo searches it', { skip }, async () => {
      await withRules(also('Defaults secure_path="/home/alice/bin:/usr/bin:/bin"'), async () => {
        const { record, text } = await run([sudo, 'id', '-u']);
        assert.match(text, /the own one/);
        assert.equal(record.target?.path, '/home/alice/bin/id');
        assert.equal(record.target.sha256, null, 'it may change until it runs');
      });
    });

    test('another account by default, and rules that move the command', { skip }, async () => {
      if (kind === 'sudo') {
        await withRules(also('Defaults:alice runas_default=bob'), async () => {
          const { record, text } = await run([sudo, 'id', '-un']);
          assert.match(text, /^bob$/m);
          assert.equal(record.runAs.user, 'bob');
        });
      }
      await withRules(also('alice ALL=(ALL:ALL) CWD=/srv ALL'), async () => {
        const { record, text } = await run([sudo, 'pwd']);
        assert.match(text, /^\/srv$/m);
        assert.deepEqual([record.mode, record.unrestricted], ['unparsed', ['unparsed']]);
      });
    });

    test('rules that change while the person waits: the approval does not count', { skip }, async () => {
      const file = mark();
      const request = await ask(world, host, 'alice', [sudo, 'touch', file]);
      await withRules(without, async () => {
        granted(await world.person('alice').approve(request.code));
        assert.equal(await request.terminal.exit, 1);
        assert.match(request.terminal.text(), /changed while you waited/);
        assert.equal(host.exists(file), false);
      });
    });

    test('a list of variables, abbreviations, other folders and relative words are unparsed', { skip }, async () => {
      await host.sh('printf secret > /root/report.txt');
      // What sudo-rs refuses before it asks is no request.
      const classic = [
        ['--preserve-env=X,/usr/bin/cat', '/usr/bin/id'],
        ['--preserve-e=X,-l', '/usr/bin/id'],
        ['--preserve-env=X,-u,nobody', '/usr/bin/id'],
        ['--us', 'bob', '/usr/bin/id'],
        ['--user=bob', '--gr', 'alice', '/usr/bin/id'],
      ];
      for (const args of [...(kind === 'sudo' ? classic : []), ['./bin/id'], ['bin/id'], ['../alice/bin/id']]) {
        const { record } = await run([sudo, ...args]);
        assert.deepEqual([record.mode, record.target], ['unparsed', null], args.join(' '));
        assert.equal(record.runAs.user, 'root', args.join(' '));
        assert.ok(record.unrestricted.includes('unparsed'), args.join(' '));
      }
    });

    test('variables that load code, and the own interpreter of a script, are unrestricted root', { skip }, async () => {
      const keeping = kind === 'sudo' ? ['-E', '--preserve-env'] : [];
      await withRules(also('alice ALL=(ALL:ALL) SETENV: ALL'), async () => {
        for (const word of ['LD_PRELOAD=/home/alice/x.so', 'PYTHONPATH=/home/alice', ...keeping]) {
          const { record } = await run([sudo, word, '/usr/bin/true']);
          assert.deepEqual(record.unrestricted, ['environment'], word);
        }
      });
      await withRules(also('Defaults env_keep+=BASH_ENV'), async () => {
        assert.deepEqual((await run([sudo, 'true'], { env: { BASH_ENV: '/tmp/x' } })).record.unrestricted, [
          'environment',
        ]);
        assert.deepEqual((await run([sudo, 'true'])).record.unrestricted, []);
      });
      await host.sh(`cp /bin/sh /home/alice/bin/own-sh; chown alice /home/alice/bin/own-sh
      printf '#!/home/alice/bin/own-sh\\necho ran\\n' > /usr/local/bin/theirs; chmod 755 /usr/local/bin/theirs`);
      const { record, text } = await run([sudo, 'theirs']);
      assert.match(text, /ran/);
      assert.deepEqual(record.unrestricted, ['user-writable-target', 'user-writable-path']);
      assert.equal(record.target?.sha256, null);
    });

    /** Starts a command without a terminal, as ssh, cron and Ansible do. */
    function start(script: string) {
      const child = host.start('alice', ['sh', '-c', script]);
      const out: Buffer[] = [];
      let err = '';
      const code = new Promise<string>((resolve, reject) => {
        child.stdout.on('data', (chunk: Buffer) => out.push(chunk));
        child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
          err += chunk;
          const [found] = CODE.exec(err) ?? [];
          if (found !== undefined) resolve(found);
        });
        child.on('close', () => reject(new Error(`no code was shown: ${err}`)));
      });
      const ended = new Promise<number | null>((resolve) => child.on('close', resolve));
      return { code, ended, out: () => Buffer.concat(out), err: () => err };
    }

    test('without a terminal link and code are on standard error at once, and no byte is in the output', {
      skip,
    }, async () => {
      await host.sh('head -c 3000000 /dev/urandom > /root/blob');
      const whole = await host.sh('sha256sum < /root/blob');
      const piped = start(`${sudo} cat /root/blob`);
      // Seen before anybody has answered.
      const code = await piped.code;
      assert.match(piped.err(), new RegExp(`${world.server.url}/approve/${code}`));
      assert.equal(piped.out().length, 0);
      granted(await world.person('alice').approve(code));
      assert.equal(await piped.ended, 0);
      assert.equal(createHash('sha256').update(piped.out()).digest('hex'), whole.slice(0, 64));
      assert.match(piped.err(), /Approved by/);

      const substituted = start(`uid=$(${sudo} id -u); echo "[$uid]"`);
      granted(await world.person('alice').approve(await substituted.code));
      assert.equal(await substituted.ended, 0);
      assert.equal(substituted.out().toString(), '[0]\n');
    });

    test('without a terminal a denial is on standard error too', { skip }, async () => {
      const denied = start(`${sudo} id -u`);
      await world.person('alice').deny(await denied.code);
      assert.equal(await denied.ended, 1);
      assert.equal(denied.out().length, 0);
      assert.match(denied.err(), /Denied by/);
    });

    test('the direct gate asks sudo for its rules too', { skip }, async () => {
      await host.sh('systemctl stop identree-agent');
      try {
        const { record } = await run([sudo, 'id', '-u'], { env: OWN_FIRST });
        assert.equal(record.target?.path, '/usr/bin/id');
        assert.deepEqual(record.unrestricted, []);
      } finally {
        await host.sh('systemctl start identree-agent');
      }
    });
  });
