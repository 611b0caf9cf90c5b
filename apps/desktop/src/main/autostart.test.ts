import assert from 'node:assert/strict';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { execWord, xdgAutostart } from './autostart.ts';

test('start at login is a file in the person’s own folder, which is there when they want it and gone when not', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'identree-autostart-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const autostart = xdgAutostart(folder, 'org.identree.Console', ['/opt/identree-console/identree-console']);
  const file = join(folder, 'autostart/org.identree.Console.desktop');
  assert.equal(await autostart.isOn(), false);
  await autostart.set(true);
  assert.equal(await autostart.isOn(), true);
  const text = readFileSync(file, 'utf8');
  assert.match(text, /^Exec="\/opt\/identree-console\/identree-console" "--background"$/m);
  assert.match(text, /^Type=Application$/m);
  // Where the program was removed, the desktop looks at nothing else in the file.
  assert.match(text, /^TryExec=\/opt\/identree-console\/identree-console$/m);
  // What the desktop's own settings write when they switch it off.
  for (const line of ['Hidden=true', 'X-GNOME-Autostart-enabled=false']) {
    writeFileSync(file, `${text}${line}\n`);
    assert.equal(await autostart.isOn(), false, line);
    await autostart.set(true);
    assert.equal(await autostart.isOn(), true, line);
  }
  await autostart.set(false);
  await autostart.set(false);
  assert.equal(await autostart.isOn(), false);
});

test('it is written whole or not at all, and through no link', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'identree-autostart-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const autostart = xdgAutostart(folder, 'org.identree.Console', ['/opt/a b/"c"\\d']);
  const [file, other] = [join(folder, 'autostart/org.identree.Console.desktop'), join(folder, 'other')];
  mkdirSync(join(file, 'in-the-way'), { recursive: true });
  await assert.rejects(autostart.set(true));
  assert.deepEqual(readdirSync(join(folder, 'autostart')), ['org.identree.Console.desktop'], 'no half of it stays');
  rmSync(file, { recursive: true });
  symlinkSync(other, file);
  await autostart.set(true);
  assert.ok(!existsSync(other));
  assert.match(readFileSync(file, 'utf8'), /^TryExec=\/opt\/a b\/"c"\\\\d$/m);
});

test('no path of the program becomes another command', () => {
  assert.equal(execWord('/opt/a b'), '"/opt/a b"');
  assert.equal(execWord('/opt/$HOME/`id`'), '"/opt/\\\\$HOME/\\\\`id\\\\`"');
  assert.equal(execWord('/opt/%u"'), '"/opt/%%u\\\\""');
  assert.equal(execWord('a\\b'), '"a\\\\\\\\b"');
  assert.throws(() => execWord('a\nExec=evil'), TypeError);
});
