// Builds what a managed host needs: the agent as one executable (dist/agent/identree), the PAM module and the stage that it
// starts (dist/native/pam_identree.so, identree-pam) and the plugin of sudo (dist/native/identree_sudo.so). The agent is a Node single executable application with a V8 code cache. With `--if-stale`
// only what changed since it was last built.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire, isBuiltin } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const require = createRequire(import.meta.url);
const { inject } = require('postject');

const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const out = join(root, 'dist', 'agent');
const started = Date.now();
const say = (text) => process.stdout.write(`${text}\n`);
const size = (path) => `${(statSync(path).size / 1e6).toFixed(1)} MB`;

/** The marker that Node looks for in its own binary (nodejs.org/api/single-executable-applications). */
const SENTINEL = 'NODE_SEA_FUSE_fce680ab2cc467b6e072b8b5df1996b2';

/** Options of the executable for its JavaScript engine. */
const ENGINE = [
  // What is young is collected sooner: else the agent keeps 12 MB that 60 requests leave behind, and is no faster.
  '--max-semi-space-size=1',
  // What is old, too.
  '--optimize-for-size',
  // No copy of V8's own code near what it compiles, which no other process would share.
  '--no-short-builtin-calls',
  // One thread beside the main one, on hosts with a hundred processors too.
  '--v8-pool-size=1',
];

/** Everything that the executable depends on. */
function fingerprint() {
  const hash = createHash('sha256').update(process.version);
  const sources = globSync(['agent/src/**/*.ts', 'shared/src/**/*.ts'], { cwd: root });
  const files = sources.filter((file) => !file.endsWith('.test.ts')).sort();
  hash.update(`${JSON.stringify(ownPlugin())}\0`);
  for (const file of [...files, 'package-lock.json', 'scripts/build-agent.mjs'])
    hash
      .update(`${file}\0`)
      .update(readFileSync(join(root, file)))
      .update('\0');
  return hash.digest('hex');
}

/** The sudo plugin, which is built already: of which sources it is, as its Makefile counts them, and what its file holds. */
function ownPlugin() {
  const build = execFileSync('make', ['-s', '-C', join(root, 'agent', 'native'), '--no-print-directory', 'build-id'], {
    encoding: 'utf8',
  }).trim();
  const file = readFileSync(join(root, 'dist', 'native', 'identree_sudo.so'));
  return { build, sha256: createHash('sha256').update(file).digest('hex') };
}

/**
 * Of zod only what is used. Its `z` is a namespace of everything, the error messages of fifty languages too, and an agent
 * that stays would keep a third of its memory for them.
 */
const onlyUsedOfZod = {
  name: 'only-used-of-zod',
  setup({ onLoad }) {
    onLoad({ filter: /\/(agent|shared)\/src\/.*\.ts$/ }, ({ path }) => {
      const text = readFileSync(path, 'utf8');
      return { loader: 'ts', contents: text.replace(/^import \{ z \} from 'zod';$/m, "import * as z from 'zod';") };
    });
  },
};

/** One letter beyond ASCII, which esbuild leaves in regular expressions, and V8 keeps two bytes of each letter there is. */
function keepAscii(file) {
  const text = readFileSync(file, 'utf8');
  const escaped = text.replace(/[^\0-\x7f]/g, (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`);
  if (escaped !== text) writeFileSync(file, escaped);
}

async function bundle() {
  const file = join(out, 'identree.cjs');
  const result = await build({
    entryPoints: [join(root, 'agent', 'src', 'main.ts')],
    outfile: file,
    bundle: true,
    define: { IDENTREE_PLUGIN: JSON.stringify(ownPlugin()) },
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    logLevel: 'warning',
    metafile: true,
    plugins: [onlyUsedOfZod],
  });
  // A file looked up at run time would be looked up in the folder of whoever runs sudo.
  const output = Object.values(result.metafile.outputs)[0];
  const foreign = output.imports
    .filter(({ path }) => !path.startsWith('node:') && !isBuiltin(path))
    .map(({ path }) => path);
  if (foreign.length > 0) throw new Error(`the bundle would load at run time: ${foreign.join(', ')}`);
  const unused = Object.entries(output.inputs).find(
    ([path, { bytesInOutput }]) => /\/zod\/.*\/locales\/de\.js$/.test(path) && bytesInOutput > 0,
  );
  if (unused) throw new Error("all of zod is in the bundle: import it as { z } from 'zod', and nothing else");
  keepAscii(file);
  return file;
}

function makeBlob(bundled) {
  const config = join(out, 'sea-config.json');
  const blob = join(out, 'identree.blob');
  writeFileSync(
    config,
    JSON.stringify({
      main: bundled,
      output: blob,
      disableExperimentalSEAWarning: true,
      useSnapshot: false,
      useCodeCache: true,
      // NODE_OPTIONS of whoever starts the agent must not load code into it.
      execArgvExtension: 'none',
      execArgv: ENGINE,
    }),
  );
  // With the same options: V8 takes no code cache that was made under others, and says so on standard error.
  const made = spawnSync(process.execPath, [...ENGINE, '--experimental-sea-config', config], {
    encoding: 'utf8',
    env: {},
  });
  if (made.status !== 0) throw new Error(`node could not make the blob: ${made.stderr}`);
  return blob;
}

async function makeExecutable(blob) {
  const fresh = join(out, 'identree.new');
  copyFileSync(process.execPath, fresh);
  chmodSync(fresh, 0o755);
  // Before the injection: stripping afterwards leaves a binary that does nothing.
  const strip = spawnSync('strip', [fresh], { stdio: 'ignore' });
  if (strip.error || strip.status !== 0)
    say('strip is not installed: the executable stays about 18 MB larger (apt install binutils)');
  // postject warns about section names of the stripped binary; they are gone on purpose.
  const { warn, error } = console;
  console.warn = console.error = (text) => (/section name/.test(text) ? undefined : warn(text));
  await inject(fresh, 'NODE_SEA_BLOB', readFileSync(blob), { sentinelFuse: SENTINEL });
  Object.assign(console, { warn, error });
  const final = join(out, 'identree');
  renameSync(fresh, final);
  return final;
}

function buildNative() {
  const source = join(root, 'agent', 'native');
  if (!existsSync(join(source, 'Makefile'))) throw new Error('agent/native has no Makefile');
  const made = spawnSync('make', ['-C', source, '--no-print-directory'], { stdio: ['ignore', 'inherit', 'inherit'] });
  if (made.error?.code === 'ENOENT') throw new Error('make is not installed (apt install build-essential)');
  if (made.status !== 0) throw new Error('the native hooks could not be built');
  const stage = join(root, 'dist', 'native', 'identree-pam');
  const plugin = join(root, 'dist', 'native', 'identree_sudo.so');
  const module = join(root, 'dist', 'native', 'pam_identree.so');
  for (const file of [stage, plugin, module]) {
    if (!existsSync(file)) throw new Error(`make did not produce ${file}`);
    say(`${file}  ${size(file)}`);
  }
}

async function buildAgent() {
  const stamp = join(out, '.stamp');
  const wanted = fingerprint();
  const isFresh = existsSync(join(out, 'identree')) && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted;
  if (isFresh && process.argv.includes('--if-stale')) return;
  const bundled = await bundle();
  const blob = makeBlob(bundled);
  const executable = await makeExecutable(blob);
  const started = spawnSync(executable, ['--version'], { encoding: 'utf8', cwd: '/' });
  const version = started.stdout.trim();
  if (started.status !== 0 || started.stderr !== '') throw new Error(`it does not start well: ${started.stderr}`);
  say(`${executable}  ${size(executable)}  (${version}, bundle ${size(bundled)})`);
  rmSync(blob, { force: true });
  rmSync(join(out, 'sea-config.json'), { force: true });
  writeFileSync(stamp, wanted);
}

mkdirSync(out, { recursive: true });
try {
  buildNative();
  await buildAgent();
  say(`built in ${((Date.now() - started) / 1000).toFixed(1)} s`);
} catch (error) {
  process.stderr.write(`build-agent: ${error.message}\n`);
  process.exit(1);
}
