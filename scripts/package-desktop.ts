import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { Arch, build, type Configuration, Platform } from 'electron-builder';
import { parse } from 'yaml';
import { buildDesktop } from './build-desktop.ts';
import { drawIcons, ICON_SIZES } from './desktop-icons.ts';
import { copyrightOf } from './licences.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const texts = join(root, 'apps/desktop/package');
const PACKAGE = 'identree-console';
/** Where the program lies. Root's, as all of it: what signs in must not be replaceable by who signs in. */
const HOME = `/opt/${PACKAGE}`;

/** What Electron 42 loads, by the names of Debian 12 and 13, and what it starts: xdg-open for the system browser. */
const DEPENDS = [
  'libasound2 | libasound2t64',
  'libatk-bridge2.0-0 | libatk-bridge2.0-0t64',
  'libatk1.0-0 | libatk1.0-0t64',
  'libatspi2.0-0 | libatspi2.0-0t64',
  'libc6 (>= 2.31)',
  'libcups2 | libcups2t64',
  'libdbus-1-3',
  'libgbm1',
  'libgtk-3-0 | libgtk-3-0t64',
  'libnss3',
  'libudev1',
  'libxkbcommon0',
  'xdg-utils',
];
/** Where what is in the package begins to run, and the console that it shows. */
const ENTRIES = [
  'apps/desktop/src/main/main.ts',
  'apps/desktop/src/preload/console.ts',
  'apps/desktop/src/preload/setup.ts',
  'apps/desktop/src/setup/setup.ts',
  'apps/console/src/main.tsx',
];

/** The keychain. */
const RECOMMENDS = ['gnome-keyring | kwalletmanager | libsecret-1-0', 'ca-certificates'];

export interface PackageOptions {
  /** Folder with an unpacked Electron of the version that electron-builder.yml names. */
  electron: string;
  /** Where the package goes. */
  out: string;
  /** A built shell (`dist/desktop`); built when not given. */
  app?: string;
  /** Added to the version, as `~test`: such a package is older than the one it stands for. */
  suffix?: string;
  /** `none` and `gzip` are quick, `xz` is small. */
  compression?: 'xz' | 'gzip' | 'none';
}

/** The configuration as the file says it. */
export async function builderConfig(): Promise<Configuration> {
  return parse(await readFile(join(root, 'electron-builder.yml'), 'utf8')) as Configuration;
}

/**
 * Unpacked program and `.deb` of the desktop console, for the machine it runs on.
 *
 * @returns the package's path and the folder of the unpacked program, both below `out`
 */
export async function packageDesktop(options: PackageOptions): Promise<{ deb: string; unpacked: string }> {
  const config = await builderConfig();
  await checkElectron(options.electron, String(config.electronVersion));
  const out = resolve(options.out);
  await mkdir(out, { recursive: true });
  const icons = join(out, 'icons');
  const app = resolve(options.app ?? join(root, 'dist/desktop'));
  if (!options.app) await buildDesktop();
  await drawIcons(icons);
  const { app: _app, ...directories } = config.directories ?? {};
  await build({
    // What is built needs no module of this project: electron-builder is not to search its thousands for them.
    projectDir: app,
    targets: Platform.LINUX.createTarget('dir', Arch[process.arch === 'arm64' ? 'arm64' : 'x64']),
    publish: 'never',
    config: {
      ...config,
      electronDist: options.electron,
      directories: { ...directories, output: out, buildResources: icons },
    },
  });
  const unpacked = join(out, process.arch === 'arm64' ? 'linux-arm64-unpacked' : 'linux-unpacked');
  // Part of an Electron folder, and a second program beside ours.
  await rm(join(unpacked, 'resources/default_app.asar'), { force: true });
  return { deb: await debOf(unpacked, icons, options), unpacked };
}

async function checkElectron(folder: string, wanted: string): Promise<void> {
  const found = await readFile(join(folder, 'version'), 'utf8').catch(() => null);
  if (found === null) throw new Error(`${folder} holds no Electron`);
  const version = found.trim().replace(/^v/, '');
  if (version !== wanted) throw new Error(`${folder} holds Electron ${version}, electron-builder.yml names ${wanted}`);
}

/** One file tree, without a script that root would run: menus, icons and link types are registered by dpkg's triggers. */
async function debOf(unpacked: string, icons: string, options: PackageOptions): Promise<string> {
  const manifest = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  const version = `${manifest.version}${options.suffix ?? ''}`;
  const { stdout: arch } = await run('dpkg', ['--print-architecture']);
  const tree = await mkdtemp(join(tmpdir(), 'identree-deb-'));
  try {
    await chmod(tree, 0o755);
    const at = (path: string) => join(tree, path);
    const put = async (path: string, content: string | Buffer) => {
      await mkdir(dirname(at(path)), { recursive: true });
      await writeFile(at(path), content);
    };
    await mkdir(at('/opt'), { recursive: true });
    await cp(unpacked, at(HOME), { recursive: true });
    await mkdir(at('/usr/bin'), { recursive: true });
    await symlink(`${HOME}/identree-console`, at('/usr/bin/identree-console'));
    const id = String((await builderConfig()).appId);
    await put(`/usr/share/applications/${id}.desktop`, await readFile(join(texts, `${id}.desktop`)));
    const metainfo = await readFile(join(texts, `${id}.metainfo.xml`), 'utf8');
    await put(
      `/usr/share/metainfo/${id}.metainfo.xml`,
      metainfo.replace('@VERSION@', manifest.version).replace('@DATE@', await releaseDay()),
    );
    for (const size of ICON_SIZES) {
      await put(
        `/usr/share/icons/hicolor/${size}x${size}/apps/${id}.png`,
        await readFile(join(icons, `${size}x${size}.png`)),
      );
    }
    await put(`/usr/share/icons/hicolor/scalable/apps/${id}.svg`, await readFile(join(icons, 'icon.svg')));
    await put(`/usr/share/doc/${PACKAGE}/copyright`, copyrightOf(ENTRIES));
    await run('chmod', ['-R', 'u=rwX,go=rX', tree]);
    // Where the kernel lets nobody make a user namespace, this helper is Chromium's sandbox.
    await chmod(at(`${HOME}/chrome-sandbox`), 0o4755);
    const control = [
      `Package: ${PACKAGE}`,
      `Version: ${version}`,
      `Architecture: ${arch.trim()}`,
      'Maintainer: the identree authors <identree@localhost>',
      `Installed-Size: ${Math.ceil((await sizeOf(tree)) / 1024)}`,
      `Depends: ${DEPENDS.join(', ')}`,
      `Recommends: ${RECOMMENDS.join(', ')}`,
      'Section: admin',
      'Priority: optional',
      'Description: console of an identree server',
      ' Shows who wants to run what as root on which host, and refuses it. Requests are',
      ' approved in the browser, with a passkey.',
      '',
    ];
    await put('/DEBIAN/control', control.join('\n'));
    const deb = join(options.out, `${PACKAGE}_${version}_${arch.trim()}.deb`);
    const level = { xz: ['-Zxz'], gzip: ['-Zgzip', '-z1'], none: ['-Znone'] }[options.compression ?? 'xz'];
    await run('dpkg-deb', ['--root-owner-group', ...level, '--build', tree, deb], { timeout: 15 * 60_000 });
    return deb;
  } finally {
    await rm(tree, { recursive: true, force: true });
  }
}

/** The day of the last change, so that the same sources give the same file. */
async function releaseDay(): Promise<string> {
  const epoch = process.env.SOURCE_DATE_EPOCH;
  if (epoch) return new Date(Number(epoch) * 1000).toISOString().slice(0, 10);
  const { stdout } = await run('git', ['log', '-1', '--format=%cs'], { cwd: root });
  return stdout.trim();
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  }
  return bytes;
}

/** The official Electron that `npx install-electron` downloaded, or the folder that the person names. */
function electronFolder(named: string | undefined): string {
  const folder = named ?? process.env.ELECTRON_OVERRIDE_DIST_PATH ?? join(root, 'node_modules/electron/dist');
  if (existsSync(join(folder, 'version'))) return folder;
  console.error(
    [
      'identree: there is no Electron to package. Either',
      '  npx install-electron                               downloads the official one, or',
      '  npm run desktop:package -- --electron /path        takes the one in that folder.',
    ].join('\n'),
  );
  process.exit(1);
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: { electron: { type: 'string' }, out: { type: 'string' }, quick: { type: 'boolean' } },
  });
  const electron = electronFolder(values.electron);
  const { deb } = await packageDesktop({
    electron,
    out: values.out ?? join(root, 'dist/packages'),
    compression: values.quick ? 'gzip' : 'xz',
  });
  const { size } = await stat(deb);
  console.log(`${deb}  ${(size / 1e6).toFixed(1)} MB`);
  console.log(`\nInstall it:  sudo apt install ${deb}`);
}
