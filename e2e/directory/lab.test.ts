import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { runAsNobody } from '../harness/as-nobody.ts';
import { localTerminal } from '../harness/lab.ts';
import { CODE } from '../harness/person.ts';
import type { Terminal } from '../harness/pty.ts';
import { run, until } from '../harness/run.ts';
import { repository, skip } from '../harness/world.ts';

const COMMAND = [process.execPath, join(repository, 'scripts/bootstrap.mjs'), 'lab'];
const READY = /The end of the shell[\s\S]*root@web1:~# /;

/** What a newcomer does who wants to see a managed host. */
describe('npm run lab', { concurrency: 2 }, () => {
  async function start(t: TestContext, ...options: string[]): Promise<Terminal> {
    const terminal = await localTerminal([...COMMAND, ...options]);
    t.after(async () => {
      terminal.hangUp();
      await terminal.exit;
    });
    return terminal;
  }
  const idOf = async (terminal: Terminal): Promise<string> => (await terminal.see(/^Lab (\d+):/m, 120_000))[1]!;
  const isGone = async (id: string): Promise<boolean> =>
    (await run('ip', ['link', 'show', `idl${id}`])).code !== 0 && !existsSync(`/run/identree-lab/${id}.sock`);

  test('a shell on a host with people from the directory; sudo is approved from another terminal', {
    skip,
  }, async (t) => {
    const terminal = await start(t);
    const id = await idOf(terminal);
    await terminal.see(READY, 120_000);
    assert.match(terminal.text(), /npm run lab -- approve/);

    terminal.type('stty size; id ada\r');
    await terminal.see(/^50 100$/m);
    await terminal.see(/^uid=\d+\(ada\) gid=\d+\(ada\) groups=.*\(operators\)/m);
    terminal.type('sudo -l -U linus; ldapsearch -Q -LLL uid=ada uidNumber\r');
    await terminal.see(/\(root\) \/usr\/bin\/id, \/usr\/bin\/systemctl restart cron/);
    await terminal.see(/^uidNumber: \d+$/m);

    terminal.type('su - ada\r');
    await terminal.see(/ada@web1:~\$ /);
    terminal.type('sudo id -u; echo code=$?\r');
    const [code] = await terminal.see(CODE);
    const wrong = await run(COMMAND[0]!, [...COMMAND.slice(1), 'approve', 'AAAAAA-000000']);
    assert.deepEqual([wrong.code, /there is no request/.test(wrong.stderr)], [1, true], wrong.stderr);
    const approved = await run(COMMAND[0]!, [...COMMAND.slice(1), 'approve', code]);
    assert.equal(approved.stdout.trim(), `approved ${code} of ada as ada`, approved.stderr);
    await terminal.see(/^0\ncode=0$/m);

    // Ctrl-C is the host's: it ends what runs there, not the lab.
    terminal.type("sh -c 'echo sleeping; exec sleep 1000'\r");
    await terminal.see(/^sleeping$/m);
    terminal.type('\x03');
    await terminal.see(/\^C\n.*ada@web1:~\$ /);
    terminal.type('\x04');
    await terminal.see(/logout\n.*root@web1:~# /);
    terminal.type('\x04');
    assert.equal(await terminal.exit, 0);
    assert.match(terminal.text(), /Removing the lab/);
    assert.ok(await isGone(id));
  });

  test('as somebody of the directory; a closed window removes everything as well', { skip }, async (t) => {
    const terminal = await start(t, '--user', 'linus');
    const id = await idOf(terminal);
    await terminal.see(/linus@web1:~\$ /, 120_000);
    terminal.type('id -un; tty\r');
    await terminal.see(/^linus\n\/dev\/pts\/\d+$/m);
    terminal.hangUp();
    await terminal.exit;
    await until('the lab to be gone', () => isGone(id), 90_000);
  });

  test('Ctrl-C while it starts removes what is there already', { skip }, async (t) => {
    const terminal = await start(t);
    const id = await idOf(terminal);
    terminal.type('\x03');
    assert.equal(await terminal.exit, 130);
    await until('the lab to be gone', () => isGone(id), 90_000);
  });

  test('not as root: it says what is missing and starts nothing', { skip }, async () => {
    const result = await runAsNobody(repository, ['scripts/bootstrap.mjs', 'lab']);
    assert.equal(result.code, 1, result.stderr);
    assert.match(result.stderr, /root: sudo npm run lab/);
    assert.doesNotMatch(result.stdout, /Building/);
  });
});
