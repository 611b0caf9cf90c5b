import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, globSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { buildDesktop } from '../../scripts/build-desktop.ts';
import { electronRuntime } from '../../scripts/electron-runtime.ts';
import { parseResult, type TestResult } from '../../scripts/testing/results.ts';

const root = join(import.meta.dirname, '../..');
/** Of one file of tests inside. */
const FILE_LIMIT_MS = 240_000;
/** Of all tests in one namespace, and how long they say nothing: only what hangs is ended by these. */
const LIMIT_MS = 570_000;
const SILENCE_MS = FILE_LIMIT_MS + 40_000;

/** Program → Debian package. */
const PROGRAMS: Record<string, string> = {
  unshare: 'util-linux',
  setpriv: 'util-linux',
  mount: 'mount',
  ip: 'iproute2',
  Xvfb: 'xvfb',
  'dbus-run-session': 'dbus',
  chromium: 'chromium',
  certutil: 'libnss3-tools',
  openssl: 'openssl',
};

function isOnPath(program: string): boolean {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/sbin', '/sbin'];
  return folders.some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Why the desktop tests cannot run on this machine; null when they can. */
export function whyNoDesktop(): string | null {
  if (process.platform !== 'linux') return 'the desktop tests need Linux';
  if (process.getuid?.() !== 0)
    return 'the desktop tests need root, to make a network namespace: run the tests as root';
  const missing = Object.entries(PROGRAMS).filter(([program]) => !isOnPath(program));
  if (missing.length > 0) {
    const packages = [...new Set(missing.map(([, name]) => name))].join(' ');
    return `the desktop tests need ${missing.map(([program]) => program).join(', ')}: apt-get install -y ${packages}`;
  }
  const probe = spawnSync('unshare', [...UNSHARE, 'mount', '-t', 'tmpfs', 'tmpfs', '/mnt'], { timeout: 60_000 });
  if (probe.status !== 0) return 'this machine does not let root make network and mount namespaces';
  return null;
}

const UNSHARE = ['--net', '--mount', '--pid', '--ipc', '--fork', '--kill-child', '--mount-proc'];

/**
 * With DEB: first a copy of this machine that forgets what is written to it, in which the package is installed. At the
 * end the package is purged, and what is there then that was not there before is printed. With NEWER too: root installs that
 * one as soon as a test asks for it by a file.
 *
 * Inside: loopback only, an empty /tmp, the project read-only, and from there on the unprivileged user `nobody`. The
 * Electron that is tested is a third party's build: it sees neither the network nor anybody's files.
 */
const ENTER = `
set -eu
R=/
if [ -n "$DEB" ]; then
  mount -t tmpfs -o mode=755,size=2g tmpfs "$COPY/disk"
  mkdir "$COPY/disk/upper" "$COPY/disk/work"
  R=$COPY/root
  mount -t overlay -o "lowerdir=/,upperdir=$COPY/disk/upper,workdir=$COPY/disk/work" overlay "$R"
  for part in proc sys dev; do mount --rbind "/$part" "$R/$part"; done
  cp "$DEB" "$R/package.deb"
  (cd "$COPY/disk/upper" && find . ! -type d) | sort > "$COPY/before"
  DEBIAN_FRONTEND=noninteractive chroot "$R" dpkg -i /package.deb >"$COPY/dpkg.log" 2>&1 || { cat "$COPY/dpkg.log"; exit 1; }
  rm "$R/package.deb"
fi
mount -t tmpfs -o mode=1777,size=3g tmpfs "$WORK"
mkdir "$WORK/project" "$WORK/runtime" "$WORK/shell" "$WORK/out"
mkdir -m 1777 "$WORK/.X11-unix"
mkdir -m 700 "$WORK/home" "$WORK/results"
chown nobody:nogroup "$WORK/home" "$WORK/results"
touch "$WORK/node"
bind() { mount --bind "$1" "$2"; mount -o remount,bind,ro,nosuid,nodev "$2"; }
bind "$ROOT" "$WORK/project"
bind "$RUNTIME" "$WORK/runtime"
[ -z "$SHELL_FOLDER" ] || bind "$SHELL_FOLDER" "$WORK/shell"
bind "$NODE" "$WORK/node"
mount --bind "$OUT" "$WORK/out"
printf '127.0.0.1 localhost identree.example.com\\n' > "$WORK/hosts"
chmod 644 "$WORK/hosts"
mount --bind "$WORK/hosts" "$R/etc/hosts"
mount --rbind "$WORK" "$R/tmp"
ip link set lo up
UPGRADER=
if [ -n "$NEWER" ]; then
  (
    until [ -e "$WORK/upgrade" ]; do sleep 0.2; done
    cp "$NEWER" "$R/newer.deb"
    DEBIAN_FRONTEND=noninteractive chroot "$R" dpkg -i /newer.deb >"$WORK/upgrade.log" 2>&1 && touch "$WORK/upgraded"
    rm "$R/newer.deb"
  ) &
  UPGRADER=$!
fi
status=0
# Not chroot: who is in one may make no user namespace, and Chromium's sandbox is one.
ROOT_OF_TESTS=$R unshare --mount sh -c '
  cd "$ROOT_OF_TESTS"
  if [ "$ROOT_OF_TESTS" != / ]; then pivot_root . mnt; cd /; umount -l /mnt; fi
  exec "$@"
' sh env -i --chdir=/tmp/project PATH=/tmp/project/node_modules/.bin:/usr/local/bin:/usr/bin:/bin LANG=C.UTF-8 HOME=/tmp/home USER=nobody \\
  XDG_CONFIG_HOME=/tmp/home/.config XDG_CACHE_HOME=/tmp/home/.cache XDG_RUNTIME_DIR=/tmp/home \\
  IDENTREE_ELECTRON=/tmp/runtime/electron IDENTREE_SHELL=/tmp/shell IDENTREE_RESULTS=/tmp/results IDENTREE_BENCH="$BENCH" NO_COLOR=1 \\
  setpriv --reuid=nobody --regid=nogroup --clear-groups --no-new-privs --inh-caps=-all --bounding-set=-all -- \\
  dbus-run-session -- /tmp/node "$@" || status=$?
[ -z "$UPGRADER" ] || kill "$UPGRADER" 2>/dev/null || true
# By the name that the tests know it by: where there is no package, /tmp is this folder by now.
cp -r "$R/tmp/results/." "$R/tmp/out/"
if [ -n "$DEB" ]; then
  umount -l "$R/tmp" "$R/etc/hosts"
  chroot "$R" dpkg --purge identree-console >"$COPY/dpkg.log" 2>&1 || { cat "$COPY/dpkg.log"; exit 1; }
  (cd "$COPY/disk/upper" && find . ! -type d) | sort | comm -13 "$COPY/before" - | sed 's/^\\./REMAINS /'
fi
exit $status
`;

/** How each test ended and which files an installed package left behind, or why none could run. */
export type Outcome = { ok: true; results: TestResult[]; remains: string[] } | { ok: false; skip: string };

/** The pinned Electron, or why the desktop tests cannot run here. */
export async function runtimeFolder(): Promise<{ ok: true; folder: string } | { ok: false; skip: string }> {
  const reason = whyNoDesktop();
  if (reason) return { ok: false, skip: reason };
  const runtime = await electronRuntime();
  if (!runtime.ok) return { ok: false, skip: runtime.reason };
  const missing = spawnSync('ldd', [join(runtime.folder, 'electron')], { encoding: 'utf8' }).stdout.match(
    /\S+(?= => not found)/g,
  );
  return missing ? { ok: false, skip: `Electron needs ${missing.join(', ')}` } : runtime;
}

/**
 * Runs test files of this folder in namespaces of their own, against a freshly built shell or an installed package.
 *
 * @param pattern of the test files, from the project's top
 * @param options.deb the package to install before
 * @param options.newer the package that takes its place when a test makes the file /tmp/upgrade; then there is /tmp/upgraded
 * @param options.results folder of what the tests leave behind; that of the screenshots when not given
 * @param options.bench handed on as IDENTREE_BENCH
 */
export async function runInside(
  pattern: string,
  options: { deb?: string; newer?: string; results?: string; bench?: string } = {},
): Promise<Outcome> {
  const { deb } = options;
  const runtime = await runtimeFolder();
  if (!runtime.ok) return runtime;
  // A build of its own: somebody else may build at the same time.
  const shell = deb ? null : join(mkdtempSync(join(tmpdir(), 'identree-shell-')), 'desktop');
  if (shell) await buildDesktop({ out: shell });

  const work = mkdtempSync(join(tmpdir(), 'identree-desktop-'));
  const copy = mkdtempSync(join(tmpdir(), 'identree-installed-'));
  for (const folder of ['disk', 'root']) mkdirSync(join(copy, folder));
  const out = options.results ?? join(root, 'test-results/screenshots');
  mkdirSync(out, { recursive: true });
  const files = globSync(pattern, { cwd: root }).sort();
  const flags = [
    '--disable-warning=ExperimentalWarning',
    '--test',
    '--test-concurrency=1',
    `--test-timeout=${FILE_LIMIT_MS}`,
    '--test-force-exit',
  ];
  const child = spawn(
    'unshare',
    [...UNSHARE, 'sh', '-c', ENTER, 'sh', ...flags, '--test-reporter=./scripts/testing/node-reporter.ts', ...files],
    {
      env: {
        PATH: `${process.env.PATH}:/usr/sbin:/sbin`,
        WORK: work,
        ROOT: root,
        RUNTIME: runtime.folder,
        SHELL_FOLDER: shell ?? '',
        DEB: deb ?? '',
        NEWER: options.newer ?? '',
        COPY: copy,
        NODE: process.execPath,
        OUT: out,
        BENCH: options.bench ?? '',
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  const results: TestResult[] = [];
  const said: string[] = [];
  // As they come: of a run that is ended from outside nothing else tells how far it got.
  const say = (line: string) => {
    said.push(line);
    process.stderr.write(`${line}\n`);
  };
  const remains: string[] = [];
  let hang: string | null = null;
  const end = (why: string) => {
    hang = `${why}\n${processesBelow(child.pid)}`;
    child.kill('SIGKILL');
  };
  const timer = setTimeout(() => end(`the tests inside took longer than ${LIMIT_MS / 1000} s`), LIMIT_MS);
  const silence = setTimeout(() => end(`the tests inside said nothing for ${SILENCE_MS / 1000} s`), SILENCE_MS);
  createInterface({ input: child.stdout }).on('line', (line) => {
    silence.refresh();
    const result = parseResult(line);
    if (result) results.push(result);
    else if (line.startsWith('REMAINS ')) remains.push(line.slice('REMAINS '.length));
    else say(line);
  });
  createInterface({ input: child.stderr }).on('line', say);
  const [code, signal] = await new Promise<[number | null, NodeJS.Signals | null]>((resolve) =>
    child.on('close', (...how) => resolve(how)),
  );
  clearTimeout(timer);
  clearTimeout(silence);
  for (const folder of [work, copy, ...(shell ? [dirname(shell)] : [])])
    rmSync(folder, { recursive: true, force: true });
  const failed = results.filter(({ status }) => status === 'failed');
  if (signal || (code !== 0 && failed.length === 0)) {
    const last = results.at(-1);
    const how = hang ?? `the tests inside ended with ${signal ?? `exit code ${code}`}`;
    const detail = `${how}\nthe last test that ended: ${last?.name.join(' > ') ?? 'none'}\n${said.slice(-60).join('\n')}`;
    results.push({ name: ['desktop tests'], file: null, status: 'failed', durationMs: 0, detail });
  }
  return { ok: true, results, remains };
}

/** What runs in the namespace, each with its parent and for how long: who waits for whom, when nothing goes on. */
function processesBelow(pid: number | undefined): string {
  const { stdout } = spawnSync('ps', ['-e', '-o', 'pid=,ppid=,etimes=,wchan:20=,args='], {
    encoding: 'utf8',
    timeout: 10_000,
  });
  const lines = (stdout ?? '').split('\n');
  const below = new Set([String(pid)]);
  // A parent may stand after its child.
  for (let known = 0; known < below.size; ) {
    known = below.size;
    for (const line of lines) {
      const [own, parent] = line.trim().split(/\s+/);
      if (own && parent && below.has(parent)) below.add(own);
    }
  }
  return lines
    .filter((line) => below.has(line.trim().split(/\s+/)[0] ?? ''))
    .map((line) => line.slice(0, 300))
    .join('\n');
}
