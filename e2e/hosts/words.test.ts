import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { granted } from '../harness/person.ts';
import { type Asked, agentReady, ask, mark, openWorld, skip, type World } from '../harness/world.ts';

const CONTACT = 'Operations, +49 89 1234';

/** One after the other: the last one takes the server away. */
for (const gate of ['plugin', 'pam'] as const) {
  describe(`what a person reads at a real sudo (${gate})`, () => {
    let world: World;
    before(async () => {
      if (skip) return;
      world = await openWorld({ sudo: gate, people: ['alice', 'olga'] });
      const host = world.host();
      await host.sh(
        `echo 'IDENTREE_CONTACT="${CONTACT}"' >> /etc/identree/client.conf; systemctl restart identree-agent`,
      );
      await agentReady(host);
    });
    after(() => world?.close());

    /** What the command is called on the terminal: the plugin knows it from sudo, the stage as it was typed. */
    const typed = (...words: string[]) => (gate === 'pam' ? ['sudo', ...words] : words).join(' ');

    /** Without what sudo itself adds to every no of PAM: setup has it say something that is true. */
    const lines = (request: Asked) => {
      const shown = request.terminal.text().trimEnd().split('\n');
      return gate === 'pam' && shown.at(-1) === 'sudo: not approved, so nothing was run' ? shown.slice(0, -1) : shown;
    };

    test('line by line, until a denial that says who, why and whom to call', { skip }, async () => {
      const file = mark();
      const env = { TERM: 'dumb', LANG: 'C.UTF-8' };
      const request = await ask(world, world.host(), 'alice', ['sudo', 'touch', file], { size: '120x24', env });
      granted(await world.person('olga').deny(request.code, 'not on a Friday'));
      assert.equal(await request.terminal.exit, 1);
      assert.deepEqual(lines(request), [
        '',
        `  ${new URL(world.server.url).host} is asked to approve: ${typed('touch', file)}`,
        '  Who can approve: you or an administrator.',
        '',
        `  ${world.server.url}/approve/${request.code}`,
        '',
        `  Code: ${request.code}    Time left: 2 min`,
        '',
        '  Waiting for the answer. Ctrl-C cancels.',
        `  Denied by olga: not on a Friday. Help: ${CONTACT}`,
      ]);
      assert.equal(world.host().exists(file), false);
    });

    test('in German, on 40 columns: the link is one line, and its code on one row', { skip }, async () => {
      const file = mark();
      const env = { TERM: 'xterm', LANG: 'de_DE.UTF-8' };
      const request = await ask(world, world.host(), 'alice', ['sudo', 'touch', file], { size: '40x24', env });
      granted(await world.person('olga').deny(request.code));
      assert.equal(await request.terminal.exit, 1);
      const shown = lines(request);
      const link = shown.find((line) => line.trim() === `${world.server.url}/approve/${request.code}`);
      const rows = link?.match(/.{1,40}/g) ?? [];
      assert.ok(
        rows.some((row) => row.includes(request.code)),
        request.terminal.text(),
      );
      for (const line of shown) if (line !== link) assert.ok(line.length <= 40, line);
      const text = shown.join(' ').replace(/\s+/g, ' ');
      assert.match(text, /wird um Freigabe gebeten: .*Freigeben kann: du selbst oder die Administration\./);
      assert.match(text, /Abgelehnt von olga\. Hilfe: Operations, \+49 89 1234$/);
    });

    test('nothing is said about a server that answers; one that is gone is named, with what is wrong', {
      skip,
    }, async () => {
      const host = world.host();
      const file = mark();
      const request = await ask(world, host, 'alice', ['sudo', 'touch', file]);
      granted(await world.person('alice').approve(request.code));
      assert.equal(await request.terminal.exit, 0);
      assert.doesNotMatch(request.terminal.text(), /Asking|Still trying/);

      await world.server.stop();
      const terminal = host.terminal('alice', ['sudo', 'touch', mark()], { env: { LANG: 'C.UTF-8' } });
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
      assert.match(terminal.text().replace(/\s+/g, ' '), new RegExp(said.join(' ')));
    });
  });
}
