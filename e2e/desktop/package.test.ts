import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { FuseState, FuseV1Options, getCurrentFuseWire } from '@electron/fuses';
import { buildDesktop } from '../../scripts/build-desktop.ts';
import { ICON_SIZES } from '../../scripts/desktop-icons.ts';
import { builderConfig, packageDesktop } from '../../scripts/package-desktop.ts';
import { checklistTest } from './checklist.ts';
import { runInside, runtimeFolder } from './namespace.ts';
import { NEXT_VERSION } from './next-version.ts';
import { retold } from './retold.ts';

const root = join(import.meta.dirname, '../..');
const ID = 'org.identree.Console';

/** What dpkg and the triggers of other packages write whenever anything is installed. */
const KEPT_BY_DPKG =
  /^\/(var\/lib\/dpkg\/|var\/log\/dpkg\.log$|var\/log\/alternatives\.log$|var\/cache\/|usr\/share\/applications\/(mimeinfo|bamf-2)\.cache$|usr\/share\/icons\/hicolor\/icon-theme\.cache$)/;

describe('the configuration of the packages', () => {
  test('is what electron-builder takes, for every target', async () => {
    const { validateConfiguration } = await import('app-builder-lib/out/util/config/config.js');
    const { DebugLogger } = await import('builder-util');
    const config = await builderConfig();
    await validateConfiguration(config, new DebugLogger(false));
    const misspelt = { ...config, electronFuse: config.electronFuses };
    await assert.rejects(validateConfiguration(misspelt as never, new DebugLogger(false)), /electronFuse/);
  });

  test('the id of the program is that of its desktop file and its metadata', async () => {
    assert.equal((await builderConfig()).appId, ID);
    const folder = join(root, 'apps/desktop/package');
    assert.deepEqual(readdirSync(folder).sort(), [`${ID}.desktop`, `${ID}.metainfo.xml`]);
    const metainfo = readFileSync(join(folder, `${ID}.metainfo.xml`), 'utf8');
    assert.match(metainfo, new RegExp(`<id>${ID}</id>`));
    assert.match(metainfo, new RegExp(`<launchable type="desktop-id">${ID}.desktop</launchable>`));
  });
});

const runtime = await runtimeFolder();
if (!runtime.ok) {
  test('the package of the desktop console', { skip: runtime.skip }, () => {});
} else {
  const out = mkdtempSync(join(tmpdir(), 'identree-package-'));
  const app = await buildDesktop({ out: join(out, 'app') });
  // A third party's build of Electron is in it: the name says that it is for tests.
  const { deb, unpacked } = await packageDesktop({
    electron: runtime.folder,
    out: join(out, 'packages'),
    app,
    suffix: '~test',
    compression: 'none',
  });
  // What a person upgrades to: the same, with another version.
  const next = join(out, 'next');
  cpSync(app, next, { recursive: true });
  const manifest = JSON.parse(readFileSync(join(next, 'package.json'), 'utf8'));
  writeFileSync(join(next, 'package.json'), JSON.stringify({ ...manifest, version: NEXT_VERSION }));
  const { deb: newer } = await packageDesktop({
    electron: runtime.folder,
    out: join(out, 'next-packages'),
    app: next,
    suffix: '~test2',
    compression: 'none',
  });
  // An after() of the file runs when the tests that are known by then have ended.
  process.once('exit', () => rmSync(out, { recursive: true, force: true }));

  describe('the package', () => {
    // No Node, no options of Node, no inspector, nothing but its own archive.
    test(checklistTest(19), async () => {
      const wire = await getCurrentFuseWire(join(unpacked, 'identree-console'));
      const on = [
        FuseV1Options.EnableCookieEncryption,
        FuseV1Options.EnableEmbeddedAsarIntegrityValidation,
        FuseV1Options.OnlyLoadAppFromAsar,
        // Catches what WebAssembly does wrong; it gives nobody anything.
        FuseV1Options.WasmTrapHandlers,
      ];
      const all = Object.values(FuseV1Options).filter((one): one is FuseV1Options => typeof one === 'number');
      for (const fuse of all) {
        const wanted = on.includes(fuse) ? FuseState.ENABLE : FuseState.DISABLE;
        assert.equal(wire[fuse], wanted, FuseV1Options[fuse]);
      }
    });

    // What was seen of the shell in an Electron that can be looked into holds for the one that cannot: it is the same.
    test('its archive holds the built shell, byte for byte, and nothing else', async () => {
      const { extractFile, listPackage } = await import('@electron/asar');
      const archive = join(unpacked, 'resources/app.asar');
      const built = readdirSync(app, { recursive: true, withFileTypes: true });
      const pathOf = (entry: (typeof built)[number]) => relative(app, join(entry.parentPath, entry.name));
      assert.deepEqual(
        listPackage(archive, { isPack: false }).sort(),
        built.map((entry) => `/${pathOf(entry)}`).sort(),
      );
      for (const path of built.filter((entry) => entry.isFile()).map(pathOf))
        assert.ok(extractFile(archive, path).equals(readFileSync(join(app, path))), path);
      assert.deepEqual(readdirSync(join(unpacked, 'resources')), ['app.asar']);
    });

    test('has an icon in every size, and a desktop file and metadata that the validators accept', () => {
      const tree = join(out, 'tree');
      assert.equal(spawnSync('dpkg-deb', ['-x', deb, tree]).status, 0);
      for (const size of ICON_SIZES) {
        const png = readFileSync(join(tree, `usr/share/icons/hicolor/${size}x${size}/apps/${ID}.png`));
        assert.deepEqual([png.readUInt32BE(16), png.readUInt32BE(20)], [size, size]);
      }
      const desktop = spawnSync('desktop-file-validate', [join(tree, `usr/share/applications/${ID}.desktop`)]);
      assert.equal(`${desktop.stdout}${desktop.stderr}`, '');
      const metainfo = join(tree, `usr/share/metainfo/${ID}.metainfo.xml`);
      const checked = spawnSync('appstreamcli', ['validate', '--no-net', metainfo], { encoding: 'utf8' });
      assert.equal(checked.status, 0, checked.stdout);
      rmSync(tree, { recursive: true });
    });

    test('runs no script as root when it is installed or removed', () => {
      const { stdout } = spawnSync('dpkg-deb', ['--info', deb], { encoding: 'utf8' });
      assert.doesNotMatch(stdout, /\b(pre|post)(inst|rm)\b/);
    });
  });

  const outcome = await runInside('e2e/desktop/inside/*.package.ts', { deb, newer });
  if (!outcome.ok) test('the installed package', { skip: outcome.skip }, () => {});
  else {
    for (const told of retold(outcome.results)) test(...told);
    test('purged, it leaves nothing behind', () => {
      assert.deepEqual(
        outcome.remains.filter((path) => !KEPT_BY_DPKG.test(path)),
        [],
      );
    });
  }
}
