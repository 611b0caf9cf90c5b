import { createHash } from 'node:crypto';
import { existsSync, globSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { build as esbuild } from 'esbuild';
import { build as viteBuild } from 'vite';
import { compressFolder } from './compress.ts';

/**
 * `npm run build`: what browsers load, into dist/. With `--if-stale` only what changed since it was last built.
 */

const root = join(import.meta.dirname, '..');
const dist = join(root, 'dist');

interface Target {
  name: string;
  /** Patterns of everything that the result depends on. */
  inputs: readonly string[];
  /** A file that is there when the target has been built. */
  proof: string;
  /** Builds into an empty folder. */
  build: (folder: string) => Promise<void>;
  /** Below dist/. */
  folder: string;
}

const page = join(root, 'server/src/approval-page');

const approvalPage: Target = {
  name: 'approval page',
  inputs: [
    'server/src/approval-page/**',
    'shared/src/**',
    'package-lock.json',
    'scripts/build.ts',
    'scripts/compress.ts',
  ],
  folder: 'assets',
  proof: 'approve.js',
  async build(folder) {
    await esbuild({
      entryPoints: { approve: join(page, 'client.ts') },
      tsconfig: join(page, 'tsconfig.json'),
      outdir: folder,
      bundle: true,
      minify: true,
      format: 'esm',
      target: 'es2022',
      charset: 'utf8',
      legalComments: 'none',
      logLevel: 'warning',
    });
    for (const file of ['page.css', 'icon.svg']) await copyFile(join(page, file), join(folder, file));
  },
};

const consoleApp: Target = {
  name: 'console',
  inputs: ['apps/console/**', 'shared/src/**', 'package-lock.json', 'scripts/build.ts', 'scripts/compress.ts'],
  folder: 'console',
  proof: 'index.html',
  async build(folder) {
    // Vite and React leave their development halves out only when this says so.
    process.env.NODE_ENV = 'production';
    await viteBuild({
      root: join(root, 'apps/console'),
      configFile: join(root, 'apps/console/vite.config.ts'),
      logLevel: 'warn',
      build: { outDir: folder, emptyOutDir: true },
    });
    // By itself, without what pages share: every browser runs it for itself, and long after its page is closed.
    await esbuild({
      entryPoints: [join(root, 'apps/console/src/push/push-worker.ts')],
      outdir: folder,
      bundle: true,
      minify: true,
      format: 'iife',
      target: 'es2022',
      charset: 'utf8',
      legalComments: 'none',
      logLevel: 'warning',
    });
  },
};

function fingerprint(target: Target): string {
  const hash = createHash('sha256');
  const files = globSync([...target.inputs], {
    cwd: root,
    withFileTypes: true,
    exclude: ['**/dist/**', '**/node_modules/**'],
  })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !/\.test\.tsx?$/.test(file));
  for (const file of files.sort())
    hash
      .update(`${file.slice(root.length)}\0`)
      .update(readFileSync(file))
      .update('\0');
  return hash.digest('hex');
}

async function make(target: Target, ifStale: boolean): Promise<void> {
  const folder = join(dist, target.folder);
  const stamp = join(dist, `.${target.folder}.stamp`);
  const wanted = fingerprint(target);
  const fresh = existsSync(join(folder, target.proof)) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  if (ifStale && fresh) return;
  process.stdout.write(`building the ${target.name} …\n`);
  const draft = join(dist, `.${target.folder}.${process.pid}`);
  rmSync(draft, { recursive: true, force: true });
  mkdirSync(draft, { recursive: true });
  try {
    await target.build(draft);
    compressFolder(draft);
    // A server that runs at the same time never sees half a build.
    const old = `${draft}.old`;
    if (existsSync(folder)) renameSync(folder, old);
    renameSync(draft, folder);
    rmSync(old, { recursive: true, force: true });
    writeFileSync(stamp, wanted);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
}

try {
  const ifStale = process.argv.includes('--if-stale');
  mkdirSync(dist, { recursive: true });
  await make(approvalPage, ifStale);
  if (existsSync(join(root, 'apps/console/vite.config.ts'))) await make(consoleApp, ifStale);
} catch (error) {
  process.stderr.write(`the build failed: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
