import assert from 'node:assert/strict';
import { chown, lchown, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createHostTree } from '../../testing/host-tree.ts';
import { isUnread } from '../grant.ts';
import { createHostFiles } from '../host-files.ts';
import { readGrants } from '../read-grants.ts';
import { polkitGrants } from './polkit-grants.ts';

const skip = process.geteuid?.() === 0 ? false : 'needs root, to own files as somebody else';

const RULES = '/etc/polkit-1/rules.d/50-x.rules';

async function grantsOf(files: Record<string, string> | string): Promise<string[]> {
  await using host = await createHostTree(typeof files === 'string' ? { [RULES]: files } : files);
  return (await polkitGrants(createHostFiles(host.root))).map((grant) => {
    if (isUnread(grant)) return `${grant.line} unread`;
    return `${grant.line} ${grant.who.type} ${grant.who.name}: ${grant.gives}${grant.withoutPassword ? ', no password' : ''}`;
  });
}
const rule = (body: string) => `polkit.addRule(function(action, subject) {\n${body}\n});\n`;

describe('what polkit gives', () => {
  it('administrators, but not root', async () => {
    const script =
      '// why\npolkit.addAdminRule(function(a, s) {\n  return ["unix-group:sudo", \'unix-user:alice\', "unix-user:0"];\n});';
    assert.deepEqual(await grantsOf(script), [
      '2 group sudo: what polkit asks an administrator for, with their own password',
      '2 user alice: what polkit asks an administrator for, with their own password',
    ]);
  });

  it('a rule that says yes, for actions, groups and sessions', async () => {
    const body = `/* "quoted" } */ if ((action.id == "a.b" || action.id.indexOf("c.") === 0) && subject.local && subject.isInGroup('wheel')) {
      polkit.log("say (it)");
      return polkit.Result.YES;
    }
    if (subject.user == "bob") return polkit.Result.AUTH_SELF_KEEP;
    if (action.id == "x" && action.lookup("unit") == "nginx.service") { return polkit.Result.YES }
    return polkit.Result.NOT_HANDLED;`;
    assert.deepEqual(await grantsOf(rule(body)), [
      '2 group wheel: actions a.b, c.*, at this machine, no password',
      '6 user bob: every action of polkit, with their own password',
      '7 everyone : action x, for unit nginx.service, no password',
    ]);
    assert.deepEqual(await grantsOf('polkit.addRule((action, subject) => { return polkit.Result.YES; })'), [
      '1 everyone : every action of polkit, no password',
    ]);
  });

  it('what only asks an administrator, or says no, gives nothing', async () => {
    assert.deepEqual(
      await grantsOf(rule('return polkit.Result.AUTH_ADMIN;') + rule('if (subject.active) return polkit.Result.NO;')),
      [],
    );
  });

  it('whatever is not plain is said, and the next rule is read', async () => {
    const yes = rule('if (subject.user == "eve") return polkit.Result.YES;');
    const EVE = 'user eve: every action of polkit, no password';
    for (const body of [
      'if (!subject.isInGroup("a")) return polkit.Result.YES;',
      'if (subject.isInGroup("a")) return polkit.Result.NO; return polkit.Result.YES;',
      'if (subject.isInGroup("a")) { return null; } else { return polkit.Result.YES; }',
      'return "yes";',
      'return check(subject);',
      'if (subject.isInGroup(name)) return polkit.Result.YES;',
      'if (subject.user == "a\\u0062") return polkit.Result.YES;',
      'if (action.id.match(/^org/)) return polkit.Result.YES;',
      'return polkit.Result[`YES`];',
      'var x = function() { polkit.addRule(1); };',
    ]) {
      const found = await grantsOf(yes + rule(body) + yes);
      assert.equal(found[0], `2 ${EVE}`, body);
      assert.match(found[1] ?? '', /^\d unread$/, body);
      // Behind what may be a regular expression or a template nothing is certain any more.
      assert.equal(found.length, /[/`\\]/.test(body) ? 2 : 3, body);
    }
    assert.deepEqual(await grantsOf(rule(`if (${'('.repeat(100_000)}`)), ['1 unread']);
    assert.deepEqual(await grantsOf(`var YES = polkit.Result.YES;\n${yes}`), ['1 unread', `3 ${EVE}`]);
    assert.deepEqual(await grantsOf('polkit.addRule(function(action, subject) { return polkit.Result.YES;'), [
      '1 unread',
    ]);
    assert.deepEqual(await grantsOf('polkit.addAdminRule(function(a, s) { if (s.local) return ["unix-group:x"]; });'), [
      '1 unread',
    ]);
  });

  it('no rule hides in a comment that has ended, or in what is logged', async () => {
    const YES = 'polkit.addRule(function(a, s) { return polkit.Result.YES; });';
    for (const end of ['\r', '\u2028', '\u2029']) {
      assert.deepEqual(await grantsOf(`// harmless${end}${YES}`), ['1 everyone : every action of polkit, no password']);
    }
    for (const inside of [
      `(${YES.slice(0, -1)}, "x")`,
      `eval("x")`,
      'function() {}()',
      '"a", ...s',
      'a.b = 1',
      'new E',
    ]) {
      assert.equal((await grantsOf(`polkit.log(${inside});`))[0], '1 unread', inside);
      assert.equal((await grantsOf(rule(`polkit.log(${inside});`)))[0], '1 unread', inside);
    }
    assert.deepEqual(
      await grantsOf(rule('polkit.log("action=" + action); polkit.log("by " + subject.user, "x");')),
      [],
    );
  });

  it('what a section of the local authority gives may stand apart from whom it names, and a pattern is no name', async () => {
    const file = '/etc/polkit-1/localauthority/50-local.d/x.pkla';
    assert.deepEqual(
      await grantsOf({
        [file]: '[A]\nIdentity=unix-user:bob\n[B]\nAction=org.b\n[A]\nAction=org.a\nResultAny=yes\n',
      }),
      ['1 user bob: action org.a, no password'],
    );
    for (const pattern of ['unix-user:al*', 'unix-group:op?', 'unix-user:[ab]ob', '*', 'unix-*:bob']) {
      const text = `[A]\nIdentity=${pattern}\nAction=org.a\nResultAny=yes\n`;
      assert.deepEqual(await grantsOf({ [file]: text }), ['1 unread'], pattern);
    }
  });

  it('files of the local authority', async () => {
    const files = {
      '/etc/polkit-1/localauthority/50-local.d/x.pkla':
        '[Power]\nIdentity=unix-group:power;unix-user:alice\nAction=org.a.*;org.b\nResultActive=yes\n[Self]\nIdentity=unix-user:*\nAction=org.c\nResultAny=auth_self\n[No]\nIdentity=unix-user:bob\nAction=*\nResultAny=auth_admin\nbroken\n',
      '/var/lib/polkit-1/localauthority/10-vendor.d/y.pkla':
        '[V]\nIdentity=unix-user:svc\nAction=org.d\nResultAny=yes\n',
      '/etc/polkit-1/localauthority.conf.d/60.conf': '[Configuration]\nAdminIdentities=unix-user:0;unix-group:admin\n',
      '/etc/polkit-1/rules.d/README': 'not a rule',
    };
    assert.deepEqual(await grantsOf(files), [
      '13 unread',
      '1 group power: actions org.a.*, org.b, no password',
      '1 user alice: actions org.a.*, org.b, no password',
      '5 everyone : action org.c, with their own password',
      '1 user svc: action org.d, no password',
      '2 group admin: what polkit asks an administrator for, with their own password',
    ]);
  });

  it('what distributions ship is plain', async () => {
    const systemd = `// Allow systemd-networkd to set timezone
polkit.addRule(function(action, subject) {
    if ((action.id == "org.freedesktop.hostname1.set-hostname" ||
         action.id == "org.freedesktop.timedate1.set-timezone") &&
        subject.user == "systemd-network") {
        return polkit.Result.YES;
    }
});`;
    const packagekit = `polkit.addRule(function(action, subject) {
    if (action.id == "org.freedesktop.packagekit.upgrade-system" &&
        subject.active == true && subject.local == true &&
        subject.isInGroup("sudo")) {
            return polkit.Result.YES;
    }
});`;
    assert.deepEqual(await grantsOf(systemd), [
      '3 user systemd-network: actions org.freedesktop.hostname1.set-hostname, org.freedesktop.timedate1.set-timezone, no password',
    ]);
    assert.deepEqual(await grantsOf(packagekit), [
      '2 group sudo: action org.freedesktop.packagekit.upgrade-system, in the active session, at this machine, no password',
    ]);
  });

  it('a folder of rules that belongs to polkitd is read; links in it are followed only where root made them', {
    skip,
  }, async () => {
    await using host = await createHostTree({
      '/etc/passwd': 'polkitd:x:996:996::/:/usr/sbin/nologin\n',
      [RULES]: rule('if (subject.user == "eve") return polkit.Result.YES;'),
      '/srv/other.rules': 'of root',
    });
    await chown(join(host.root, '/etc/polkit-1/rules.d'), 996, 0);
    await symlink('/srv/other.rules', join(host.root, '/etc/polkit-1/rules.d/60.rules'));
    await lchown(join(host.root, '/etc/polkit-1/rules.d/60.rules'), 996, 0);
    const found = await readGrants(host.root, 'web1');
    assert.deepEqual(
      found.map((grant) => (isUnread(grant) ? grant.unread.split('.').at(0) : grant.who.name)),
      ['eve', '/etc/polkit-1/rules'],
    );
    assert.match(JSON.stringify(found[1]), /60\.rules is a symbolic link that root does not own/);
  });
});
