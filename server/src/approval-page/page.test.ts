import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import { sampleRequest, samples } from '../../../e2e/browser/fixture/sample-requests.ts';
import type { ChallengeView } from '../challenges/view.ts';
import { chooseLocale, stringsOf } from '../pages/strings.ts';
import type { ApprovalPageModel } from './model.ts';
import { type PageData, renderApprovalPage } from './page.ts';

const options = { nonce: 'N0nce', csrfToken: 'csrf', locale: 'en' as const };
const key = { challenge: 'AAAA', rpId: 'localhost', allowCredentials: [{ id: 'AAAA', type: 'public-key' as const }] };

function modelOf(view: ChallengeView, more: Partial<ApprovalPageModel> = {}): ApprovalPageModel {
  const passkey = view.can.approve && view.policy.approval === 'passkey' ? { options: key } : null;
  return { view, passkey, viewer: { username: 'alice', displayName: 'Alice Ahlberg' }, ...more };
}

const page = (view: ChallengeView, more: Partial<ApprovalPageModel> = {}) =>
  renderApprovalPage(modelOf(view, more), options);
const plain = (markup: string) =>
  markup
    .replace(/<script[\s\S]*?<\/script>/g, '')
    .replace(/<[^>]+>/g, '')
    .replace(/\s+/g, ' ');
const dataOf = (markup: string): PageData =>
  JSON.parse(/<script type="application\/json" id="page-data">(.*?)<\/script>/s.exec(markup)?.[1] ?? '{}');
const has = (markup: string, id: string) => markup.includes(`id="${id}"`);

describe('what an approver sees', () => {
  const all = samples();

  test('who, where, what, as whom, from where and why', () => {
    const text = plain(page(all.pending!));
    for (const part of [
      'alice wants to run a command as root on web1.example.com',
      'sudo systemctl restart nginx',
      'QWERTY-482913',
      'Certificate was renewed, ticket 4711',
      '/home/alice',
      '/dev/pts/0',
      '192.0.2.44',
      'Rule production asks for a passkey of alice or an administrator.',
      'derived from what was typed',
    ]) {
      assert.ok(text.includes(part), part);
    }
  });

  test('unrestricted root is said in words, also when only the mode tells', () => {
    assert.match(plain(page(all.shell!)), /This gives unrestricted root/);
    const silent = sampleRequest({
      code: 'ABCDEF-000001',
      argv: ['sudo', '-s'],
      record: { mode: 'shell', unrestricted: [] },
    });
    assert.match(plain(page(silent)), /This gives unrestricted root.*It opens a shell/);
    assert.doesNotMatch(plain(page(all.pending!)), /unrestricted/);
  });

  test('what may change until it runs is said to, and no part of it is said to be compared', () => {
    const target = { path: '/srv/job', assurance: 'derived', device: '2049', inode: '4711', sha256: null } as const;
    const text = (record: Parameters<typeof sampleRequest>[0]['record']) =>
      plain(page(sampleRequest({ code: 'ABCDEF-000003', argv: ['sudo', '/srv/job'], record })));
    const changeable = text({ target, unrestricted: ['user-writable-target'] });
    assert.match(changeable, /\/srv\/job derived from what was typed may change until it runs/);
    assert.doesNotMatch(changeable, /inode 4711/);
    const kept = text({ target: { ...target, sha256: 'A'.repeat(43) }, unrestricted: [] });
    assert.doesNotMatch(kept, /may change/);
    assert.match(kept, /inode 4711/);
  });

  test('variables that load other code are a reason to read the request as anything at all', () => {
    const view = sampleRequest({
      code: 'ABCDEF-000004',
      argv: ['sudo', 'LD_PRELOAD=/tmp/x.so', 'id'],
      record: { unrestricted: ['environment'] },
    });
    assert.match(
      plain(page(view)),
      /This gives unrestricted root.*chooses variables with which programs load other code/,
    );
  });

  test('no invisible character of the record is left in the document', () => {
    for (const name of ['hostile', 'resolved-hostile']) {
      assert.doesNotMatch(
        page(all[name]!),
        /[\u0000-\u0009\u000b-\u001f\u007f-\u00a0\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/u,
        name,
      );
    }
    assert.match(page(all['resolved-hostile']!), /<mark class="escape">\\u\{202e\}<\/mark>os\.x/);
    assert.doesNotMatch(page(all['resolved-hostile']!), /<b>/);
  });

  test('what sudo resolved is the command: its path, whatever it is called, and everything that goes with it', () => {
    const text = plain(page(all['resolved-environment']!));
    for (const part of [
      'Command resolved by sudo',
      '/opt/backup/bin/backup --all',
      'A command that was allowed before starts it',
      'root group adm resolved by sudo',
      'Directory/srv',
      'Root folder/srv/jail',
      'stay open as 3, 9 and 2 more',
      'More groupsdisk, #4711 and 1 more',
      'umask0000',
      'sudo ends it after 30 seconds',
      'SELinux rolesysadm_r',
      'SELinux typesysadm_t',
      'AppArmor profileunconfined',
      '9 variables',
      'LOGNAME',
    ]) {
      assert.ok(text.includes(part), part);
    }
    assert.doesNotMatch(text, /started under the name/);
    const shell = plain(page(all['resolved-shell']!));
    assert.match(shell, /\/bin\/bash The program is started under the name -bash\./);
    assert.doesNotMatch(plain(page(all.pending!)), /Command resolved by sudo|variables/);
  });

  test('the environment that can change what runs is told in words and marked like unrestricted root', () => {
    const markup = page(all['resolved-environment']!);
    assert.match(markup, /<section class="command unrestricted"/);
    const text = plain(markup);
    for (const part of [
      'The environment can change what runs',
      'LD_PRELOAD=/home/alice/lib/trace.so loads code from there into the command',
      'PYTHONPATH=/home/alice/py can make an interpreter such as Python or Perl run other code',
      'BASH_ENV=/home/alice/.env can make a shell run other commands',
      'EDITOR=vi runs when the command opens an editor',
      'PAGER=less -R runs when the command shows long text',
      'PATH=/home/alice/bin:/usr/bin decides which programs or files the command finds',
      'There are more, which the host does not name.',
    ]) {
      assert.ok(text.includes(part), part);
    }
    assert.match(page(all['admin-only']!), /<section class="command"/, 'an ordinary environment is not marked');
  });

  test('that the host compares the program again is said only where it does', () => {
    const compared = /The host compares these again before anything runs/;
    assert.match(plain(page(all.pending!)), compared);
    const { target } = all.pending!.record;
    for (const record of [
      { target: { ...target!, sha256: null } },
      { unrestricted: ['user-writable-target' as const] },
      { unrestricted: ['user-writable-path' as const] },
    ]) {
      const text = plain(page(sampleRequest({ code: 'ABCDEF-000003', argv: ['sudo', 'x'], record })));
      assert.doesNotMatch(text, compared);
      assert.match(text, /derived from what was typed may change until it runs/);
      assert.match(text, /The program is not compared: it may change until it runs\./);
    }
  });

  test('nothing in a record becomes markup or leaves the data block', () => {
    const attack = `</script><script>alert(1)</script><img src=x onerror="alert(1)">'"`;
    const view = sampleRequest({
      code: 'ABCDEF-000002',
      argv: [attack],
      record: {
        cwd: attack,
        tty: attack,
        origin: attack,
        reason: attack,
        runAs: { user: attack, group: attack, assurance: 'derived' },
      },
      view: { userDisplayName: attack, reason: attack, decidedBy: attack, decidedByViewer: false },
    });
    const markup = page(view, { viewer: { username: attack, displayName: attack } });
    assert.equal(markup.match(/<script/g)?.length, 2, 'the script and the data block');
    assert.doesNotMatch(markup, /<img/);
  });

  test('a part that is not shown, and a very long command, need a second confirmation', () => {
    assert.ok(has(page(all.truncated!), 'confirm'));
    assert.match(plain(page(all.truncated!)), /The command goes on/);
    assert.ok(has(page(all.long!), 'confirm'));
    assert.ok(!has(page(all.pending!), 'confirm'));
  });

  test('buttons only for those who may, and none is live without the script', () => {
    const buttons = (markup: string) => ['approve', 'deny', 'create'].filter((id) => has(markup, id));
    assert.deepEqual(buttons(page(all.pending!)), ['approve', 'deny']);
    assert.deepEqual(buttons(page(all['admin-only']!)), ['deny']);
    assert.deepEqual(buttons(page(all['policy-broken']!)), []);
    assert.deepEqual(buttons(page(all.ran!)), []);
    const without = page(all.pending!, { passkey: { options: { ...key, allowCredentials: [] } } });
    assert.deepEqual(buttons(without), ['deny', 'create']);
    assert.match(page(all.pending!), /id="approve" disabled/);
    assert.match(plain(page(all['admin-only']!)), /Only an administrator may approve it/);
  });

  test('afterwards: what was decided and what happened', () => {
    const says = (name: string, pattern: RegExp) => assert.match(plain(page(all[name]!)), pattern, name);
    says('approved', /Approved by you Waiting for web1.example.com to start the command\./);
    says('silent', /web1.example.com has not reported what happened\./);
    says('ran', /Approved by you Released to sudo\./);
    says('login-allowed', /Approved by you The login was allowed\./);
    says('released', /Approved by you Released to sudo\./);
    says('running', /Approved by you Running, started 12 seconds ago\./);
    says('ended', /Approved by you Ended with status 0 after 3 s\./);
    says('killed', /Approved by you Ended by SIGKILL after 2 min 5 s\./);
    says('ended-somehow', /Approved by you sudo lost sight of the command after 0\.4 s\./);
    says('sudo-refused', /Approved by you sudo refused it: unable to execute \/usr\/bin\/systemctl/);
    says('refused', /The host refused: the command, its folder or its program changed after it was approved\./);
    says('denied', /Denied by olga web1.example.com does not run the command\. Not on a Friday/);
    says('expired', /Nobody answered in time/);
    says('cancelled', /The request was withdrawn/);
    says('rehearsal', /This is a rehearsal/);
  });

  test('a login and a rehearsal are not spoken of as a command', () => {
    const login = all['login-allowed']!;
    const says = (view: ChallengeView, pattern: RegExp) => assert.match(plain(page(view)), pattern);
    says(
      { ...login, outcome: null, outcomeAt: null },
      /Waiting for web1\.example\.com to allow the login\. .* press Enter/,
    );
    says({ ...login, status: 'expired', outcome: null }, /Nobody answered in time Connect again to ask again\./);
    says(all.expired!, /Nobody answered in time Run the command again to ask again\./);
    says({ ...all.approved!, record: all.rehearsal!.record }, /Waiting for web1\.example\.com to hear of it\./);
  });

  test('that a command ran is said only when sudo was seen to run it', () => {
    for (const [name, view] of Object.entries(all)) {
      if (view.run === null) assert.doesNotMatch(plain(page(view)), /ran\b|Running|Ended/, name);
    }
    const rehearsed = { ...all.rehearsal!, ...all.ended!, record: all.rehearsal!.record };
    assert.doesNotMatch(plain(page(rehearsed)), /Running|Ended/);
  });

  test('the page waits for news as long as there can be any, and not for ever', () => {
    const until = (view: ChallengeView) => dataOf(page(view)).newsUntil;
    for (const name of ['pending', 'approved', 'silent', 'released', 'running']) {
      const view = all[name]!;
      const end = until(view);
      assert.ok(end !== null && end > view.now && end < view.now + 3_600_000, name);
    }
    for (const name of ['ran', 'login-allowed', 'ended', 'killed', 'sudo-refused', 'refused', 'denied', 'expired']) {
      assert.equal(until(all[name]!), null, name);
    }
    const long = { ...all.running!, now: all.running!.now + 86_400_000 };
    assert.ok(until(long)! < long.now);
  });

  test('what sudo says when it refuses is shown with every mark', () => {
    const view: ChallengeView = { ...all.released!, run: { state: 'refused', endedAt: 1, reason: '<b>\u202e' } };
    assert.match(page(view), /sudo refused it: &lt;b&gt;<mark class="escape">\\u\{202e\}<\/mark>/);
    const silent: ChallengeView = { ...view, run: { state: 'refused', endedAt: 1, reason: '' } };
    assert.match(plain(page(silent)), /sudo refused it: it gave no reason\./);
  });

  test('a code of a refusal that the page does not know is shown as text', () => {
    const view = { ...all.refused!, outcomeDetail: '<b>\u202e' };
    assert.match(page(view), /&lt;b&gt;<mark class="escape">\\u\{202e\}<\/mark>/);
  });
});

test('every language has the same words', () => {
  const shape = (value: unknown): unknown =>
    typeof value === 'object' && value !== null
      ? Object.fromEntries(
          Object.entries(value)
            .filter(([name]) => name !== 'errors')
            .map(([name, v]) => [name, shape(v)]),
        )
      : typeof value;
  assert.deepEqual(shape(stringsOf('de')), shape(stringsOf('en')));
  for (const view of Object.values(samples())) {
    assert.doesNotMatch(renderApprovalPage(modelOf(view), { ...options, locale: 'de' }), /undefined|\[object/);
  }
});

test('the language follows Accept-Language with its quality values', () => {
  assert.equal(chooseLocale(undefined), 'en');
  assert.equal(chooseLocale('de-AT,de;q=0.9,en;q=0.8'), 'de');
  assert.equal(chooseLocale('fr, en;q=0.5, de;q=0.9'), 'de');
  assert.equal(chooseLocale('de;q=0, en'), 'en');
  assert.equal(chooseLocale('constructor'), 'en');
});

test('page, style, script and icon together stay under 60 kB, also uncompressed', async () => {
  const here = import.meta.dirname;
  const built = await build({
    entryPoints: [join(here, 'client.ts')],
    bundle: true,
    minify: true,
    format: 'esm',
    write: false,
  });
  const files = ['page.css', 'icon.svg'].map((name) => readFileSync(join(here, name)));
  const all = [...files, built.outputFiles[0]!.contents, Buffer.from(page(samples().pending!))];
  assert.ok(all.reduce((sum, part) => sum + part.length, 0) <= 60_000);
  assert.ok(all.reduce((sum, part) => sum + gzipSync(part).length, 0) <= 20_000);
});
