import { mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

/** A /proc tree with one process that stands for sudo or sshd. */
export interface FakeParent {
  proc: string;
  pid: number;
  startTime: string;
  setCmdline(argv: readonly (string | Buffer)[]): Promise<void>;
  setCwd(path: string): Promise<void>;
  setStartTime(ticks: string): Promise<void>;
  /** The process ends. */
  end(): Promise<void>;
}

export async function createParent(
  dir: string,
  options: {
    argv: readonly (string | Buffer)[];
    cwd: string;
    environ?: Record<string, string>;
    program?: string;
    pid?: number;
  },
): Promise<FakeParent> {
  const proc = join(dir, 'proc');
  const pid = options.pid ?? 4242;
  const folder = join(proc, String(pid));
  await mkdir(folder, { recursive: true });
  const parent: FakeParent = {
    proc,
    pid,
    startTime: '777',
    setCmdline: (argv) =>
      writeFile(join(folder, 'cmdline'), Buffer.concat(argv.flatMap((word) => [Buffer.from(word), Buffer.from([0])]))),
    async setCwd(path) {
      await rm(join(folder, 'cwd'), { force: true });
      await symlink(path, join(folder, 'cwd'));
    },
    async setStartTime(ticks) {
      parent.startTime = ticks;
      // A name as hostile as the kernel allows.
      const fields = ['S', ...Array.from({ length: 18 }, (_, i) => String(i)), ticks, '0', '0'];
      await writeFile(join(folder, 'stat'), `${pid} (su) do ) R 1) ${fields.join(' ')}\n`);
    },
    end: () => rm(folder, { recursive: true, force: true }),
  };
  await parent.setCmdline(options.argv);
  await parent.setCwd(options.cwd);
  await parent.setStartTime('777');
  const environ = Object.entries(options.environ ?? {}).map(([name, value]) => `${name}=${value}\0`);
  await writeFile(join(folder, 'environ'), environ.join(''));
  await symlink(`/usr/bin/${options.program ?? 'sudo'}`, join(folder, 'exe'));
  await symlink('/', join(folder, 'root'));
  // Its terminal, as far as a device goes that is everywhere.
  await mkdir(join(folder, 'fd'));
  await symlink('/dev/null', join(folder, 'fd/0'));
  return parent;
}
