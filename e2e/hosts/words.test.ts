import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GATES, type Gate } from '../harness/gates.ts';
import { granted } from '../harness/person.ts';
import { type Asked, agentReady, ask, mark, openWorld, skip, type World } from '../harness/world.ts';

const CONTACT = 'Operations, +49 89 1234';

/** What sudo itself adds to every no of PAM: setup has classic sudo say something that is true. */
const ADDED: Record<Gate['sudo'], string> = {
  sudo: 'sudo: not approved, so nothing was run',
  'sudo-rs': 'sudo-rs: PAM error: Permission denied',
};

/** What sudo itself puts before each line of PAM. */
const PREFIX: Record<Gate['sudo'], string> = { sudo: '', 'sudo-rs': '[sudo] ' };

/** One after the other: the last one takes the server away. */
describe('what a person reads at a real sudo', { concurrency: false }, () => {
  let world: World;
  before(async () => {
    if (skip) return;
    world = await openWorld({ hosts: [], people: ['alice', 'olga'] });
    const ready = await Promise.allSettled(
      GATES.map(async ({ host: name, suite, gate }) => {
        const host = await world.addHost(name, { suite, sudo: gate });
        await host.sh(
          `echo 'IDENTREE_CONTACT="${CONTACT}"' >> /etc/identree/client.conf; systemctl restart identree-agent`,
        );
        await agentReady(host);
      }),
    );
    for (const one of ready) if (one.status === 'rejected') throw one.reason;
  });
  after(() => world?.close());

  /** A test at every gate. */
  const each = (what: string, run: (gate: Gate) => Promise<void>) => {
    describe(what, { concurrency: GATES.length }, () => {
      for (const gate of GATES) test(gate.name, { skip }, () => run(gate));
    });
  };

  /** What the command is called on the terminal: the plugin knows it from sudo, the stage as it was typed. */
  const typed = ({ gate, sudo }: Gate, ...words: string[]) => (gate === 'pam' ? [sudo, ...words] : words).join(' ');

  /** sudo-rs puts its name before every line of PAM, and complains of settings that only classic sudo has. */
  const ownWords = ({ sudo }: Gate, text: string) =>
    sudo === 'sudo' ? text : text.replace(/^\/etc\/sudoers\.d\/.*\n.*\n *\^~*\n/gm, '').replace(/^\[sudo\] ?/gm, '');

  /** Without what sudo itself adds. */
  const lines = (by: Gate, request: Asked) => {
    const { gate, sudo } = by;
    const shown = ownWords(by, request.terminal.text()).trimEnd().split('\n');
    return gate === 'pam' && shown.at(-1) === ADDED[sudo] ? shown.slice(0, -1) : shown;
  };

  each('line by line, until a denial that says who, why and whom to call', async (gate) => {
    const host = world.host(gate.host);
    const file = mark();
    const env = { TERM: 'dumb', LANG: 'C.UTF-8' };
    const request = await ask(world, host, 'alice', [gate.sudo, 'touch', file], { size: '120x24', env });
    granted(await world.person('olga').deny(request.code, 'not on a Friday'));
    assert.equal(await request.terminal.exit, 1);
    assert.deepEqual(lines(gate, request), [
      '',
      `  ${new URL(world.server.url).host} is asked to approve: ${typed(gate, 'touch', file)}`,
      '  Who can approve: you or an administrator.',
      '',
      `  ${world.server.url}/approve/${request.code}`,
      '',
      `  Code: ${request.code}    Time left: 2 min`,
      '',
      '  Waiting for the answer. Ctrl-C cancels.',
      `  Denied by olga: not on a Friday. Help: ${CONTACT}`,
    ]);
    assert.equal(host.exists(file), false);
  });

  each('in German, on 40 columns: the link is one line, and its code on one row', async (gate) => {
    const file = mark();
    const env = { TERM: 'xterm', LANG: 'de_DE.UTF-8' };
    const command = [gate.sudo, 'touch', file];
    const request = await ask(world, world.host(gate.host), 'alice', command, { size: '40x24', env });
    granted(await world.person('olga').deny(request.code));
    assert.equal(await request.terminal.exit, 1);
    const shown = lines(gate, request);
    const before = PREFIX[gate.sudo];
    const link = shown.find((line) => line.trim() === `${world.server.url}/approve/${request.code}`);
    const rows = `${before}${link}`.match(/.{1,40}/g) ?? [];
    assert.ok(
      rows.some((row) => row.includes(request.code)),
      request.terminal.text(),
    );
    for (const line of shown) if (line !== link) assert.ok(before.length + line.length <= 40, before + line);
    const text = shown.join(' ').replace(/\s+/g, ' ');
    assert.match(text, /wird um Freigabe gebeten: .*Freigeben kann: Sie selbst oder die Administration\./);
    assert.match(text, /Abgelehnt von olga\. Hilfe: Operations, \+49 89 1234$/);
  });

  each('nothing is said about a server that answers', async (gate) => {
    const request = await ask(world, world.host(gate.host), 'alice', [gate.sudo, 'touch', mark()]);
    granted(await world.person('alice').approve(request.code));
    assert.equal(await request.terminal.exit, 0);
    assert.doesNotMatch(request.terminal.text(), /Asking|Still trying/);
  });

  describe('a server that is gone is named, with what is wrong', { concurrency: GATES.length }, () => {
    before(async () => {
      if (!skip) await world.server.stop();
    });
    for (const gate of GATES)
      test(gate.name, { skip }, async () => {
        const env = { LANG: 'C.UTF-8' };
        const terminal = world.host(gate.host).terminal('alice', [gate.sudo, 'touch', mark()], { env });
        await terminal.see(/Asking/);
        assert.equal(terminal.code(), null, 'said while it is tried');
        assert.equal(await terminal.exit, 1);
        const at = new URL(world.server.url).host.replaceAll('.', '\\.');
        const said = [
          `Asking ${at} …`,
          `${at} takes no connections: identree does not run there, or a firewall refuses\\. Still trying\\.`,
          `${at} cannot be reached, so nobody can approve this\\. Check the network, then try again\\.`,
          'Help: Operations, \\+49 89 1234',
        ];
        assert.match(ownWords(gate, terminal.text()).replace(/\s+/g, ' '), new RegExp(said.join(' ')));
      });
  });
});
