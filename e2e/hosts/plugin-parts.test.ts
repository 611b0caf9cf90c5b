import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { CLASSIC_SUDOS } from '../harness/classic-sudos.ts';
import type { Host, Suite } from '../harness/lab.ts';
import { granted } from '../harness/person.ts';
import { until } from '../harness/run.ts';
import { ask, mark, openWorld, recordOf, requestsFor, skip, type World } from '../harness/world.ts';

const SUDO_CONF = '/etc/sudo.conf';
const PLUGIN = '/usr/lib/identree/identree_sudo.so';
const dropLines = (pattern: string): string => `sed -i '/^Plugin ${pattern}/d' ${SUDO_CONF}`;

/** What is changed on the host, what doctor says of it, who asks first, and where there is what the change needs. */
const DRIFTS: Record<string, [change: string, said: RegExp, asks: 'pam' | 'plugin', only?: Suite]> = {
  'the audit line is lost': [dropLines('identree_audit'), /sudo\.conf lacks: Plugin identree_audit/, 'pam'],
  'the approval line is lost': [dropLines('identree_approval'), /sudo\.conf lacks: Plugin identree_approval/, 'pam'],
  'both lines are lost': [dropLines('identree_'), /the PAM stage asks/, 'pam'],
  'others can change sudo.conf': [`chmod 666 ${SUDO_CONF}`, /sudo\.conf is not read by sudo/, 'pam'],
  'another plugin comes first': [
    `sed -i '1i Plugin audit_json audit_json.so' ${SUDO_CONF}`,
    /another plugin before identree's, .*: Plugin audit_json/,
    'pam',
  ],
  'the plugin is altered': [`printf x >> ${PLUGIN}`, /identree_sudo\.so was changed after it was built/, 'pam'],
  'another sudo comes first on the path': [
    'cp -p /usr/bin/sudo /usr/local/bin/sudo',
    /\/usr\/bin\/sudo is another sudo/,
    'plugin',
  ],
  'another sudo comes first on the path, which has no plugins': [
    'cp -p /usr/lib/cargo/bin/sudo /usr/local/bin/sudo',
    /\/usr\/bin\/sudo is another sudo/,
    'pam',
    'trixie',
  ],
};

/** Hosts side by side, and on each one case after the other: each takes something away. */
describe('the plugin in sudo: parts that are missing', { concurrency: false }, () => {
  let world: World;
  before(async () => {
    if (skip) return;
    world = await openWorld({ hosts: [], sudo: 'plugin', people: ['alice'] });
    for (const [, name, suite] of CLASSIC_SUDOS) await world.addHost(name, { suite });
  });
  after(() => world?.close());

  describe('of the host', { concurrency: CLASSIC_SUDOS.length }, () => {
    for (const [version, name, suite] of CLASSIC_SUDOS)
      describe(`sudo ${version}`, { concurrency: false }, () => {
        let host: Host;
        before(() => {
          if (!skip) host = world.host(name);
        });

        const agentUp = (): Promise<string> =>
          host.sh(
            'systemctl reset-failed identree-agent; systemctl start identree-agent; until test -S /run/identree/agent.sock; do sleep 0.05; done',
          );

        beforeEach(async () => {
          if (!skip) await agentUp();
        });

        for (const [how, command] of [
          ['restarted', 'systemctl restart identree-agent'],
          ['killed', 'kill -KILL "$(systemctl show -p MainPID --value identree-agent)"'],
        ] as const)
          test(`agent ${how} while it waits: the same request goes on`, { skip }, async () => {
            const file = mark();
            const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
            // Said once the plugin has by what the next agent knows the request; the code is shown before.
            await request.terminal.see(/Waiting/);
            await host.sh(command);
            await request.terminal.see(/is back/);
            assert.equal(request.row().status, 'pending');
            granted(await world.person('alice').approve(request.code));
            assert.equal(await request.terminal.exit, 0, request.terminal.text());
            assert.equal(host.exists(file), true);
            assert.equal(requestsFor(world, file), 1);
          });

        test('the network away for 20 s: the same request goes on', { skip }, async () => {
          const file = mark();
          const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
          const link = (await host.sh("ip -o link | awk -F': ' '$2 != \"lo\" {print $2; exit}'")).trim().split('@')[0]!;
          const address = (await host.sh(`ip -o -4 addr show ${link} | awk '{print $4; exit}'`)).trim();
          await host.sh(`ip link set ${link} down`);
          await new Promise((resolve) => setTimeout(resolve, 20_000));
          await host.sh(
            `ip link set ${link} up; ip addr show ${link} | grep -q ${address} || ip addr add ${address} dev ${link}`,
          );
          granted(await world.person('alice').approve(request.code));
          assert.equal(await request.terminal.exit, 0, request.terminal.text());
          assert.equal(host.exists(file), true);
          assert.equal(requestsFor(world, file), 1);
        });

        test('sudo -l and sudo -v cost neither an approval nor a password', { skip }, async () => {
          const asked = (): number =>
            world.server.data.challenges().filter(({ hostname }) => hostname === `${name}.example.com`).length;
          const before = asked();
          for (const option of ['-l', '-v', '-k']) {
            const terminal = host.terminal('alice', ['sudo', option]);
            assert.equal(await terminal.exit, 0, terminal.text());
            assert.doesNotMatch(terminal.text(), /password/i);
          }
          assert.equal(asked(), before);
        });

        test('no agent: the plugin asks once, by a gate of its own, and what is answered counts', {
          skip,
        }, async () => {
          const [file, other] = [mark(), mark()];
          await host.sh('systemctl stop identree-agent');
          const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
          assert.equal(recordOf(request).gate, 'plugin');
          assert.equal(host.exists(file), false);
          granted(await world.person('alice').approve(request.code));
          assert.equal(await request.terminal.exit, 0, request.terminal.text());
          assert.equal(host.exists(file), true);
          assert.equal(requestsFor(world, file), 1);
          const denied = await ask(world, host, 'alice', ['sudo', 'touch', other]);
          granted(await world.person('alice').deny(denied.code, 'no'));
          assert.equal(await denied.terminal.exit, 1);
          assert.equal(host.exists(other), false);
          await agentUp();
        });

        const doctor = async () => host.exec(['identree', 'doctor']);

        describe('drift', () => {
          before(async () => {
            if (skip) return;
            await agentUp();
            await host.sh(`cp -p ${SUDO_CONF} ${PLUGIN} /root/`);
          });
          afterEach(async () => {
            if (skip) return;
            await host.sh(
              `cp -p /root/sudo.conf ${SUDO_CONF}; cp -p /root/identree_sudo.so ${PLUGIN}; rm -f /usr/local/bin/sudo /etc/sudoers.d/zz-other`,
            );
            assert.match((await doctor()).stdout, /the plugin in sudo asks/);
          });

          for (const [what, [change, said, asks, only = suite]] of Object.entries(DRIFTS)) {
            if (only !== suite) continue;
            test(`${what}: doctor says so, the ${asks === 'pam' ? 'PAM stage' : 'plugin'} asks, and nothing runs before`, {
              skip,
            }, async () => {
              const file = mark();
              await host.sh(change);
              assert.match((await doctor()).stdout.replace(/\s+/g, ' '), said);
              const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
              assert.equal(recordOf(request).gate, asks);
              granted(await world.person('alice').deny(request.code, 'no'));
              assert.equal(await request.terminal.exit, 1);
              assert.equal(host.exists(file), false);
            });
          }

          test('sudo.conf with the audit line alone: not even what was approved runs', { skip }, async () => {
            const file = mark();
            await host.sh(dropLines('identree_approval'));
            const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
            granted(await world.person('alice').approve(request.code));
            assert.equal(await request.terminal.exit, 1);
            assert.match(request.terminal.text(), /without its approval plugin/);
            assert.equal(host.exists(file), false);
          });

          test('the server is told of each with the next heartbeat', { skip }, async () => {
            const drifts = [
              [`printf x >> ${PLUGIN}`, /identree_sudo\.so was changed after it was built/],
              [dropLines('identree_approval'), /sudo\.conf lacks: Plugin identree_approval/],
              [`sed -i '1i Plugin audit_json audit_json.so' ${SUDO_CONF}`, /another plugin before identree's/],
              ['cp -p /usr/bin/sudo /usr/local/bin/sudo', /\/usr\/bin\/sudo is another sudo/],
              ["echo 'Defaults pam_service=other' > /etc/sudoers.d/zz-other", /zz-other:1 sets pam_service/],
            ] as const;
            for (const [change] of drifts) await host.sh(change);
            // The agent beats when it starts; the server takes a report of a host every ten seconds at most.
            await until('a report with all of them', async () => {
              await host.sh('systemctl restart identree-agent');
              await agentUp();
              const told = world.server.data
                .events({ event: 'host_reported' })
                .filter(({ hostname }) => hostname === `${name}.example.com`)
                .map(({ data }) => JSON.stringify(data));
              return told.some((text) => drifts.every(([, said]) => said.test(text)));
            });
          });

          test('as it was, the plugin asks, once', { skip }, async () => {
            const file = mark();
            const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
            assert.equal(recordOf(request).gate, 'plugin');
            granted(await world.person('alice').approve(request.code));
            assert.equal(await request.terminal.exit, 0, request.terminal.text());
            assert.equal(requestsFor(world, file), 1);
          });
        });
      });
  });

  test('the server restarted after five seconds of waiting: the same requests go on', { skip }, async () => {
    const asked = await Promise.all(
      CLASSIC_SUDOS.map(async ([version, name]) => {
        const file = mark();
        const host = world.host(name);
        return { version, host, file, request: await ask(world, host, 'alice', ['sudo', 'touch', file]) };
      }),
    );
    await new Promise((resolve) => setTimeout(resolve, 5000));
    await world.server.stop('SIGKILL');
    await world.server.start();
    for (const { version, host, file, request } of asked) {
      granted(await world.person('alice').approve(request.code));
      assert.equal(await request.terminal.exit, 0, `sudo ${version}: ${request.terminal.text()}`);
      assert.equal(host.exists(file), true);
      assert.equal(requestsFor(world, file), 1);
    }
  });
});
