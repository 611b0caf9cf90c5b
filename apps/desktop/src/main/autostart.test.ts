import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
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
  // What the desktop's own settings write when they switch it off.
  writeFileSync(file, `${text}Hidden=true\n`);
  assert.equal(await autostart.isOn(), false);
  await autostart.set(false);
  await autostart.set(false);
  assert.equal(await autostart.isOn(), false);
});

test('no path of the program becomes another command', () => {
  assert.equal(execWord('/opt/a b'), '"/opt/a b"');
  assert.equal(execWord('/opt/$HOME/`id`'), '"/opt/\\\\$HOME/\\\\`id\\\\`"');
  assert.equal(execWord('/opt/%u"'), '"/opt/%%u\\\\""');
  assert.equal(execWord('a\\b'), '"a\\\\\\\\b"');
  assert.throws(() => execWord('a\nExec=evil'), TypeError);
});
