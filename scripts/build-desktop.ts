import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { type BuildOptions, build } from 'esbuild';
import { drawTrayIcons, drawWindowIcon } from './desktop-icons.ts';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const source = join(root, 'apps/desktop/src');
const consoleDist = join(root, 'dist/console');
const defaultOut = join(root, 'dist/desktop');

/**
 * Builds `dist/desktop`: everything that Electron needs to start the shell, with nothing outside the folder. One
 * CommonJS file each for the main process, which a module of two lines starts, and the two preloads (a sandboxed
 * preload cannot load a second file); only `electron` stays outside.
 */
export async function buildDesktop(options: { console?: string; out?: string } = {}): Promise<string> {
  const { console: consoleFolder = consoleDist, out = defaultOut } = options;
  if (!existsSync(join(consoleFolder, 'index.html'))) await buildConsole();
  const { version, description, license } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'));
  const draft = `${out}.new-${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });

  const common: BuildOptions = { bundle: true, legalComments: 'none', logLevel: 'warning', absWorkingDir: root };
  // electron 42 carries Node 24 and Chrome 148
  const node: BuildOptions = { ...common, platform: 'node', format: 'cjs', target: 'node24', external: ['electron'] };
  await build({
    ...node,
    entryPoints: { main: join(source, 'main/main.ts') },
    outdir: draft,
    outExtension: { '.js': '.cjs' },
    define: { 'import.meta.dirname': '__dirname' },
  });
  await build({
    ...node,
    entryPoints: {
      'preload-console': join(source, 'preload/console.ts'),
      'preload-setup': join(source, 'preload/setup.ts'),
    },
    outdir: draft,
    outExtension: { '.js': '.cjs' },
  });
  await build({
    ...common,
    platform: 'browser',
    format: 'esm',
    target: 'chrome148',
    entryPoints: { setup: join(source, 'setup/setup.ts') },
    outdir: join(draft, 'setup'),
  });
  for (const file of ['index.html', 'setup.css']) await cp(join(source, 'setup', file), join(draft, 'setup', file));
  await cp(join(root, 'apps/console/src/icon.svg'), join(draft, 'setup/icon.svg'));
  await drawTrayIcons(join(draft, 'tray'));
  await drawWindowIcon(join(draft, 'icon.png'));
  await cp(consoleFolder, join(draft, 'console'), { recursive: true, filter: (path) => !/\.(br|gz)$/.test(path) });
  // Electron waits for a module before it is ready, and for nothing that is written as main.cjs is.
  await writeFile(join(draft, 'start.mjs'), "import main from './main.cjs';\n\nawait main.beforeReady;\n");
  const manifest = {
    name: 'identree-console',
    productName: 'identree',
    version,
    description,
    license,
    author: 'the identree authors',
    main: 'start.mjs',
    // What a desktop knows the windows by: the id of the desktop file.
    desktopName: 'org.identree.Console.desktop',
  };
  await writeFile(join(draft, 'package.json'), `${JSON.stringify(manifest, null, 2)}\n`);

  // A build that stops half-way must not leave a shell that starts half-way.
  await rm(out, { recursive: true, force: true });
  await rename(draft, out);
  return out;
}

/** @throws with the first lines of what Vite said. */
async function buildConsole(): Promise<void> {
  const config = join(root, 'apps/console/vite.config.ts');
  try {
    await run(process.execPath, [join(root, 'node_modules/vite/bin/vite.js'), 'build', '--config', config], {
      cwd: root,
      env: { ...process.env, NO_COLOR: '1' },
      timeout: 5 * 60_000,
    });
  } catch (error) {
    const said = (error as { stderr?: string }).stderr ?? String(error);
    throw new Error(`the console could not be built\n${said.split('\n').slice(0, 20).join('\n')}`);
  }
}

if (import.meta.main) console.log(await buildDesktop());
