import { execFile } from 'node:child_process';
import { chmod, lstat, lutimes, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { copyrightOf, nodeLicence } from './licences.ts';

/**
 * `npm run build:packages`: `.deb` and `.rpm` of the agent, for the machine it runs on. The same sources give the same
 * bytes: times are those of the last commit, or of `SOURCE_DATE_EPOCH`.
 */

const run = promisify(execFile);
const root = join(import.meta.dirname, '..');
const PACKAGE = 'identree-agent';

export type PackageFormat = 'deb' | 'rpm';
export const PACKAGE_FORMATS: readonly PackageFormat[] = ['deb', 'rpm'];

export interface AgentPackageOptions {
  /** Where the packages go. */
  out: string;
  formats?: readonly PackageFormat[];
  /** A tree in which `npm run build:agent` has run. */
  from?: string;
  /** Other than package.json says. */
  version?: string;
  /** `quick` makes packages that are larger by half. */
  compression?: 'small' | 'quick';
}

/** What the machine is called by Debian and by RPM. */
const ARCHITECTURES: Partial<Record<NodeJS.Architecture, Record<PackageFormat, string>>> = {
  x64: { deb: 'amd64', rpm: 'x86_64' },
  arm64: { deb: 'arm64', rpm: 'aarch64' },
};

/** Where Debian has what our programs load. RPM finds out by itself. */
const DEBIAN_LIBRARIES: Record<string, string> = {
  'libgcc_s.so.1': 'libgcc-s1',
  'libpam.so.0': 'libpam0g',
  'libstdc++.so.6': 'libstdc++6',
};
const OF_LIBC = /^(libc|libdl|libm|libpthread|ld-linux-[a-z0-9-]+)\.so\.\d+$/;

/** Program and modules, which are made for one kind of machine. */
const NATIVE = [
  'usr/bin/identree',
  'usr/lib/identree/identree-pam',
  'usr/lib/identree/identree_sudo.so',
  'usr/lib/identree/pam_identree.so',
];

/** Folders that are identree's alone; the other ones belong to the system. */
const OWN_FOLDER = /^(usr\/lib|etc|var\/lib|usr\/share\/doc)\/identree/;

/**
 * Makes the packages, and beside them the installer that fetches them. Both are still to be signed.
 *
 * @returns the path of each that was asked for
 * @throws when something is not built, or a tool is not installed
 */
export async function packageAgent(options: AgentPackageOptions): Promise<Record<PackageFormat, string>> {
  const { out, formats = PACKAGE_FORMATS, from = root, compression = 'small' } = options;
  const architecture = ARCHITECTURES[process.arch];
  if (!architecture) throw new Error(`there is no package for ${process.arch}`);
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  await mkdir(out, { recursive: true });
  const work = await mkdtemp(join(tmpdir(), 'identree-package-'));
  try {
    const epoch = await sourceDate();
    const job: Job = {
      tree: join(work, 'tree'),
      work,
      out,
      epoch,
      version: options.version ?? version,
      small: compression === 'small',
      env: { ...process.env, SOURCE_DATE_EPOCH: String(epoch), LC_ALL: 'C', TZ: 'UTC' },
    };
    await mkdir(job.tree);
    await run(join(from, 'agent/packaging/install.sh'), [job.tree]);
    await mkdir(join(job.tree, 'usr/share/doc', PACKAGE), { recursive: true });
    const rights = copyrightOf(['agent/src/main.ts'], { 'Node.js': nodeLicence() });
    await writeFile(join(job.tree, 'usr/share/doc', PACKAGE, 'copyright'), rights);
    await tidy(job);
    const made = { deb: '', rpm: '' };
    // RPM first: the tree of a `.deb` also holds what dpkg is told.
    await writeFile(join(out, 'install.sh'), await withParts('remote/install.sh'));
    await chmod(join(out, 'install.sh'), 0o755);
    if (formats.includes('rpm')) made.rpm = await packRpm(job, architecture.rpm);
    if (formats.includes('deb')) made.deb = await packDeb(job, architecture.deb);
    return made;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}

interface Job {
  tree: string;
  work: string;
  out: string;
  /** Seconds since 1970. */
  epoch: number;
  version: string;
  small: boolean;
  env: NodeJS.ProcessEnv;
}

/** When the sources were last changed, seconds since 1970. */
async function sourceDate(): Promise<number> {
  const epoch = process.env.SOURCE_DATE_EPOCH;
  if (epoch) return Number(epoch);
  const git = await run('git', ['log', '-1', '--format=%ct'], { cwd: root }).catch(() => null);
  // An unpacked archive of the sources has no history; its files are as old as what they were packed from.
  return git === null ? Math.floor((await stat(join(root, 'package.json'))).mtimeMs / 1000) : Number(git.stdout);
}

/** Modes and times do not depend on the umask and the day of whoever packs. */
async function tidy({ tree, epoch }: Job): Promise<void> {
  for (const path of [...(await entries(tree)), '']) {
    const info = await lstat(join(tree, path));
    const secret = path === 'var/lib/identree';
    const runs = info.isDirectory() || (info.mode & 0o100) !== 0;
    await chmod(join(tree, path), secret ? 0o700 : runs ? 0o755 : 0o644);
    await lutimes(join(tree, path), epoch, epoch);
  }
}

/** Everything below a folder, by relative path, in the order of the bytes of the names. */
const entries = async (folder: string): Promise<string[]> => (await readdir(folder, { recursive: true })).sort();

const packaging = (file: string): Promise<string> => readFile(join(root, 'agent/packaging', file), 'utf8');

/** What several scripts have in them. */
const PARTS = { '@LET_GO@\n': 'let-go.sh', '@INIT@\n': 'init.sh' };

/** A script, with the parts that it shares with others. */
async function withParts(file: string): Promise<string> {
  let text = await packaging(file);
  for (const [mark, part] of Object.entries(PARTS)) {
    const whole = (await packaging(part)).trimEnd().concat('\n');
    text = text.replaceAll(mark, () => whole);
  }
  return text;
}

async function packDeb(job: Job, architecture: string): Promise<string> {
  const { tree, out, version, env } = job;
  const size = await sizeOf(tree);
  const control = join(tree, 'DEBIAN');
  await mkdir(control);
  for (const name of ['postinst', 'prerm', 'postrm'])
    await writeFile(join(control, name), await withParts(`deb/${name}`), { mode: 0o755 });
  const conffiles = (await entries(join(tree, 'etc'))).filter((path) => path.includes('.'));
  await writeFile(join(control, 'conffiles'), conffiles.map((path) => `/etc/${path}\n`).join(''));
  const lines = [
    `Package: ${PACKAGE}`,
    `Version: ${version}`,
    `Architecture: ${architecture}`,
    'Maintainer: the identree authors <identree@localhost>',
    `Installed-Size: ${Math.ceil(size / 1024)}`,
    `Depends: ${(await debianDepends(tree)).join(', ')}`,
    'Recommends: sudo | sudo-rs, ca-certificates',
    'Section: admin',
    'Priority: optional',
    'Description: sudo and SSH on this host, approved elsewhere',
    ' Asks an identree server before sudo runs a command or sshd lets somebody in,',
    ' and checks the answer itself. Changes no login before "identree setup".',
    '',
  ];
  await writeFile(join(control, 'control'), lines.join('\n'));
  await run('chmod', ['-R', 'u=rwX,go=rX', control]);
  for (const path of [control, ...(await entries(control)).map((name) => join(control, name))])
    await lutimes(path, job.epoch, job.epoch);
  await lutimes(tree, job.epoch, job.epoch);
  const deb = join(out, `${PACKAGE}_${version}_${architecture}.deb`);
  // More threads would cut the stream into other pieces on other machines.
  const level = job.small ? ['-Zxz', '--threads-max=1'] : ['-Zgzip', '-z1'];
  await run('dpkg-deb', ['--root-owner-group', ...level, '--build', tree, deb], { env, timeout: 15 * 60_000 });
  return deb;
}

/** Packages of what our programs load. @throws for a library that this does not know */
async function debianDepends(tree: string): Promise<string[]> {
  const found = new Set<string>();
  let libc = [0, 0];
  for (const file of NATIVE) {
    const { stdout } = await run('readelf', ['--wide', '--dynamic', '--version-info', join(tree, file)]);
    for (const [, library = ''] of stdout.matchAll(/\(NEEDED\).*\[(.+)\]/g)) {
      if (OF_LIBC.test(library)) continue;
      const name = DEBIAN_LIBRARIES[library];
      if (name === undefined) throw new Error(`${file} loads ${library}: which package has it?`);
      found.add(name);
    }
    for (const [, major, minor] of stdout.matchAll(/GLIBC_(\d+)\.(\d+)/g)) {
      const needed = [Number(major), Number(minor)];
      if (needed[0]! > libc[0]! || (needed[0] === libc[0] && needed[1]! > libc[1]!)) libc = needed;
    }
  }
  return [`libc6 (>= ${libc.join('.')})`, ...[...found].sort()];
}

async function packRpm(job: Job, architecture: string): Promise<string> {
  const { tree, work, out, env } = job;
  const top = join(work, 'rpm');
  const files: string[] = [];
  for (const path of await entries(tree)) {
    const isFolder = (await lstat(join(tree, path))).isDirectory();
    if (isFolder && OWN_FOLDER.test(path)) files.push(`%dir /${path}`);
    if (!isFolder) files.push(path.startsWith('etc/') ? `%config(noreplace) /${path}` : `/${path}`);
  }
  const spec = (await withParts(`rpm/${PACKAGE}.spec`))
    .replace('@VERSION@', job.version)
    .replace('@TREE@', tree)
    .replace('@FILES@', files.join('\n'));
  await mkdir(top);
  await writeFile(join(top, 'identree.spec'), spec);
  const defines = {
    _topdir: top,
    _rpmdir: join(top, 'made'),
    _rpmfilename: `${PACKAGE}-%{VERSION}-%{RELEASE}.%{ARCH}.rpm`,
    _binary_payload: job.small ? 'w7.xzdio' : 'w1.gzdio',
  };
  await run(
    'rpmbuild',
    [
      ...['-bb', '--quiet', '--target', `${architecture}-linux`, '--buildroot', join(top, 'root')],
      ...Object.entries(defines).flatMap(([name, value]) => ['--define', `${name} ${value}`]),
      join(top, 'identree.spec'),
    ],
    { env, timeout: 15 * 60_000 },
  );
  const rpm = join(out, `${PACKAGE}-${job.version}-1.${architecture}.rpm`);
  await run('mv', [join(top, 'made', `${PACKAGE}-${job.version}-1.${architecture}.rpm`), rpm]);
  return rpm;
}

async function sizeOf(folder: string): Promise<number> {
  let bytes = 0;
  for (const path of await entries(folder)) {
    const info = await lstat(join(folder, path));
    if (info.isFile()) bytes += info.size;
  }
  return bytes;
}

if (import.meta.main) {
  const { values } = parseArgs({ options: { out: { type: 'string' }, format: { type: 'string', multiple: true } } });
  const formats = PACKAGE_FORMATS.filter((format) => values.format?.includes(format) ?? true);
  const made = await packageAgent({ out: values.out ?? join(root, 'dist/packages'), formats });
  for (const file of Object.values(made).filter((path) => path !== ''))
    console.log(`${file}  ${((await stat(file)).size / 1e6).toFixed(1)} MB`);
}
