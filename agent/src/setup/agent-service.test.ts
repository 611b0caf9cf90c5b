import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, readlink, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { createHostTree } from '../testing/host-tree.ts';
import { initOf, keepAgent, NO_INIT, SERVICE, serviceProblems } from './agent-service.ts';

const PACKAGING = join(import.meta.dirname, '../../packaging');
const ENTRY = '/etc/cron.d/identree-agent';
const UNIT = '/usr/lib/systemd/system/identree-agent.service';
const ENROLLED = '/var/lib/identree/identity.json';

/** Owners of files are compared, which takes root. */
const skip = process.geteuid?.() !== 0 && 'this needs root';

const ENDLESS = 'setInterval(() => {}, 1000);\n';

/** Stands for the agent: does nothing until it is told to end, as its process under Node. */
const AGENT = `#!${process.execPath}
process.once('SIGTERM', () => process.exit());
console.log(process.argv[2], process.env.UV_THREADPOOL_SIZE, process.env.SECRET);
${ENDLESS}`;

/** The script, and everything that it looks at, below a folder. */
async function host(files: Record<string, string> = { '/usr/sbin/cron': '', '/etc/cron.d/other': '' }) {
  const tree = await createHostTree({
    '/usr/bin/identree': AGENT,
    '/bin/logger': '#!/bin/sh\ncat >> ROOT/log\n',
    '/bin/systemctl': '#!/bin/sh\necho "$*" >> ROOT/systemctl\n',
    [UNIT]: await readFile(join(PACKAGING, 'identree-agent.service'), 'utf8'),
    [ENROLLED]: '{}',
    [SERVICE]: (await readFile(join(PACKAGING, 'service.sh'), 'utf8')).replace(
      '@INIT@',
      await readFile(join(PACKAGING, 'init.sh'), 'utf8'),
    ),
    ...files,
  });
  const { root } = tree;
  await mkdir(join(root, 'run'));
  for (const path of [SERVICE, UNIT, '/bin/logger', '/bin/systemctl']) {
    const text = (await readFile(join(root, path), 'utf8')).replace(/ROOT/g, root);
    const here = text
      .replace(
        /(?<![\w/.])(?=\/(run|etc|var|usr\/lib|usr\/sbin\/crond?|usr\/bin\/(identree|systemctl)|bin\/systemctl)\b)/g,
        root,
      )
      .replace(/^PATH=.*$/m, `PATH=${root}/bin:/usr/sbin:/usr/bin:/sbin:/bin`);
    await writeFile(join(root, path), here);
  }
  const programs = [SERVICE, '/usr/bin/identree', '/bin/logger', '/bin/systemctl', '/usr/sbin/cron', '/usr/sbin/crond'];
  for (const path of programs) await chmod(join(root, path), 0o755).catch(() => undefined);
  const run = (_program: string, args: readonly string[]): Promise<{ code: number; output: string }> =>
    new Promise((resolve) => {
      const env = { PATH: '/usr/bin:/bin', SECRET: 'of whoever asks' };
      const child = spawn(join(root, SERVICE), args, { stdio: ['ignore', 'pipe', 'pipe'], env });
      let output = '';
      for (const stream of [child.stdout, child.stderr])
        stream.on('data', (chunk: Buffer) => {
          output += chunk.toString();
        });
      child.on('close', (code) => resolve({ code: code ?? 125, output: output.trim() }));
    });
  /** @throws when the script does not end well */
  const service = async (...args: string[]): Promise<string> => {
    const { code, output } = await run(SERVICE, args);
    assert.equal(code, 0, output);
    return output;
  };
  const agents = async (): Promise<number[]> => {
    const found: number[] = [];
    for (const pid of await readdir('/proc')) {
      const words = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '');
      if (words.split('\0')[1] === join(root, '/usr/bin/identree')) found.push(Number(pid));
    }
    return found;
  };
  const until = async (what: string, is: () => boolean | Promise<boolean>): Promise<void> => {
    for (let tries = 0; !(await is()); tries++) {
      if (tries > 600) assert.fail(`${what}: not within a minute`);
      await setTimeout(100);
    }
  };
  return {
    root,
    run,
    service,
    agents,
    until,
    at: (path: string) => join(root, path),
    read: (path: string) => readFile(join(root, path), 'utf8'),
    /** One agent, once whoever starts it has become it. */
    async running(): Promise<number> {
      await until('an agent', async () => (await agents()).length > 0);
      const [pid = 0, ...others] = await agents();
      assert.deepEqual(others, []);
      return pid;
    },
    /** As cron does: the command of the line, by a shell. */
    async tick(): Promise<void> {
      const line = /^\* \* \* \* \* root (.*)$/m.exec(await readFile(join(root, ENTRY), 'utf8'))?.[1] ?? '';
      const child = spawn('/bin/sh', ['-c', line], { stdio: 'ignore' });
      assert.equal(await new Promise((resolve) => child.on('close', resolve)), 0);
    },
    async [Symbol.asyncDispose]() {
      for (const pid of await agents()) process.kill(pid, 'SIGKILL');
      await tree[Symbol.asyncDispose]();
    },
  };
}

describe('which init a host has', () => {
  const cases: [string, Record<string, string>, 'systemd' | 'cron' | null][] = [
    [
      'systemd, also beside cron',
      { '/run/systemd/system/x': '', '/usr/sbin/cron': '', '/etc/cron.d/x': '' },
      'systemd',
    ],
    [
      'cron, in a container that is shown the /run of its host',
      { '/run/systemd/system/x': '', '/usr/sbin/cron': '', '/etc/cron.d/x': '', '/bin/systemctl': 'none' },
      'cron',
    ],
    ['neither, in such a container without cron', { '/run/systemd/system/x': '', '/bin/systemctl': 'none' }, null],
    ['cron', { '/usr/sbin/cron': '', '/etc/cron.d/x': '' }, 'cron'],
    ['cron by its other name', { '/usr/sbin/crond': '', '/etc/cron.d/x': '' }, 'cron'],
    ['a folder that nobody reads', { '/etc/cron.d/x': '' }, null],
    ['a cron that reads no folder', { '/usr/sbin/cron': '' }, null],
    ['nothing', {}, null],
  ];
  for (const [name, files, init] of cases)
    it(name, async () => {
      await using h = await host(
        Object.fromEntries(Object.entries(files).filter(([path]) => !path.startsWith('/run'))),
      );
      if (files['/bin/systemctl'] === 'none') await rm(h.at('/bin/systemctl'));
      if (files['/run/systemd/system/x'] !== undefined) await mkdir(h.at('/run/systemd/system'), { recursive: true });
      assert.equal(await initOf(h.run), init);
    });
});

describe('the agent under cron', { skip }, () => {
  it('runs once, however many start it, with what its unit says and nothing of theirs', async () => {
    await using h = await host();
    await h.service('enable');
    await Promise.all([1, 2, 3, 4].flatMap(() => [h.service('start'), h.service('cron')]));
    const pid = await h.running();
    await h.service('start');
    await h.tick();
    assert.deepEqual(await h.agents(), [pid]);
    await h.until('its output', async () => (await h.read('/log').catch(() => '')).endsWith('\n'));
    assert.equal(await h.read('/log'), 'agent 16 undefined\n');
    assert.match(await readFile(`/proc/${pid}/status`, 'utf8'), /^Umask:\s*0077$/m);
    assert.match(await readFile(`/proc/${pid}/limits`, 'utf8'), /^Max core file size\s+0\s+0\s/m);
    assert.equal(await readlink(`/proc/${pid}/cwd`), '/');
    assert.equal(await readlink(`/proc/${pid}/fd/0`), '/dev/null');
  });

  it('killed it is started again by the line of cron', async () => {
    await using h = await host();
    await h.service('enable');
    await h.tick();
    const pid = await h.running();
    process.kill(pid, 'SIGKILL');
    await h.until('its end', async () => (await h.agents()).length === 0);
    // Its files are closed a moment after it has lost its name.
    spawnSync('flock', [h.at('/run/identree/lock'), 'true']);
    await h.tick();
    assert.notEqual(await h.running(), pid);
  });

  it('stopped it stays so whatever cron does, until it is started', async () => {
    await using h = await host();
    await h.service('enable');
    await h.service('start');
    await h.running();
    await h.service('stop');
    assert.deepEqual(await h.agents(), [], 'stop waits for it');
    await h.tick();
    await setTimeout(300);
    assert.deepEqual(await h.agents(), []);
    await h.service('start');
    await h.running();
  });

  it('restarted it is another one, also while cron looks', async () => {
    await using h = await host();
    await h.service('enable');
    await h.service('start');
    for (let times = 0; times < 3; times++) {
      const pid = await h.running();
      await Promise.all([h.service('restart'), h.tick(), h.tick(), h.tick()]);
      assert.notEqual(await h.running(), pid);
    }
    await h.service('stop');
    await h.service('try-restart');
    assert.deepEqual(await h.agents(), [], 'what does not run is not started by that');
  });

  it('one that does not end is ended', async () => {
    await using h = await host();
    await writeFile(h.at('/usr/bin/identree'), `#!${process.execPath}\nprocess.on('SIGTERM', () => {});\n${ENDLESS}`);
    const unit = await h.read(UNIT);
    await writeFile(h.at(UNIT), unit.replace(/^TimeoutStopSec=.*$/m, 'TimeoutStopSec=1'));
    await h.service('start');
    await h.running();
    await h.service('stop');
    assert.deepEqual(await h.agents(), []);
  });

  it('is not started before the host is enrolled', async () => {
    await using h = await host();
    await rm(h.at(ENROLLED));
    await h.service('enable');
    await h.service('refresh');
    await h.service('start');
    assert.equal(existsSync(h.at('/run/identree')), false, 'this may be an image');
    await h.tick();
    await setTimeout(300);
    assert.deepEqual(await h.agents(), []);
  });

  it('disabled nothing of it is left, and a cron that comes late starts nothing', async () => {
    await using h = await host();
    await h.service('enable');
    await h.service('start');
    await h.running();
    await h.service('disable');
    assert.deepEqual(
      [await h.agents(), existsSync(h.at(ENTRY)), existsSync(h.at('/run/identree'))],
      [[], false, false],
    );
    await h.service('cron');
    await setTimeout(300);
    assert.deepEqual([await h.agents(), existsSync(h.at('/run/identree'))], [[], false]);
  });

  it('taken away while cron was already looking, it is not started', async () => {
    await using h = await host();
    await h.service('enable');
    await writeFile(h.at('/bin/flock'), `#!/bin/sh\nrm -f ${h.at(ENTRY)}\nexec /usr/bin/flock "$@"\n`, { mode: 0o755 });
    await h.tick();
    await setTimeout(300);
    assert.deepEqual([await h.agents(), existsSync(h.at(ENTRY))], [[], false]);
  });

  it('stopped it comes back with the next start of a container whose /run is kept', async () => {
    await using h = await host();
    await h.service('enable');
    await h.service('stop');
    await h.tick();
    await setTimeout(300);
    assert.deepEqual(await h.agents(), []);
    assert.notEqual(await h.read('/run/identree/stopped'), '');
    await writeFile(h.at('/run/identree/stopped'), 'another start\n');
    await h.tick();
    await h.running();
  });

  it('a restart that is interrupted leaves it to cron, and does not keep it away', async () => {
    await using h = await host();
    const stubborn = `process.on('SIGTERM', () => {});\nconsole.log('ready');\n${ENDLESS}`;
    await writeFile(h.at('/usr/bin/identree'), `#!${process.execPath}\n${stubborn}`);
    await h.service('enable');
    await h.service('start');
    const pid = await h.running();
    await h.until('it to hear', async () => (await h.read('/log').catch(() => '')) === 'ready\n');
    // As the terminal of a package manager that is closed.
    const restart = spawn(h.at(SERVICE), ['restart'], { stdio: 'ignore' });
    const ended = new Promise((resolve) => restart.on('close', resolve));
    await h.until('it to be stopped', () => existsSync(h.at('/run/identree/stopped')));
    restart.kill('SIGHUP');
    await ended;
    process.kill(pid, 'SIGKILL');
    await h.until('its end', async () => (await h.agents()).length === 0);
    spawnSync('flock', [h.at('/run/identree/lock'), 'true']);
    await h.tick();
    assert.notEqual(await h.running(), pid);
  });

  it('one whose folder was taken away is ended before another one starts, and by whoever disables it', async () => {
    await using h = await host();
    await h.service('enable');
    await h.service('start');
    const lost = await h.running();
    await rm(h.at('/run/identree'), { recursive: true });
    await h.tick();
    await h.until('another one', async () => (await h.agents()).some((pid) => pid !== lost));
    await h.until('the end of the first', async () => !(await h.agents()).includes(lost));
    await h.running();
    await rm(h.at('/run/identree'), { recursive: true });
    await h.service('disable');
    await h.until('the end of all', async () => (await h.agents()).length === 0);
  });

  for (const [what, then] of [
    ['', 'true'],
    [', and it is gone', 'rm lock'],
  ])
    it(`who has the lock of another host open is left alone${what}`, async () => {
      await using h = await host();
      await h.service('enable');
      await h.service('start');
      await h.running();
      // As in a container: the same name, in mounts of its own.
      const script = `mount -t tmpfs none "$1" && cd "$1" && exec 9>>lock && ${then} && echo there && exec sleep 1000`;
      const args = ['--mount', 'sh', '-c', script, 'sh', h.at('/run/identree')];
      const other = spawn('unshare', args, { stdio: ['ignore', 'pipe', 'inherit'] });
      try {
        await new Promise((resolve) => other.stdout.once('data', resolve));
        const program = () => readlink(`/proc/${other.pid}/exe`);
        await h.until('another program', async () => (await program()).endsWith('/sleep'));
        await h.service('restart');
        await h.running();
        await h.service('disable');
        assert.match(await program(), /sleep$/);
      } finally {
        other.kill('SIGKILL');
      }
    });

  it('what a killed enable has left goes, and is in nobody’s way', async () => {
    await using h = await host();
    const left = h.at('/etc/cron.d/.identree-agent.new');
    await writeFile(left, 'half');
    await chmod(left, 0o666);
    await h.service('enable');
    assert.deepEqual(await serviceProblems(h.run).then((all) => all.filter((one) => /not as it was/.test(one))), []);
    await writeFile(left, 'half');
    await h.service('disable');
    assert.deepEqual(await readdir(h.at('/etc/cron.d')), ['other']);
  });

  it('a systemd that does not answer leaves no package half installed', async () => {
    await using h = await host();
    await mkdir(h.at('/run/systemd/system'), { recursive: true });
    await writeFile(h.at('/bin/systemctl'), '#!/bin/sh\necho Failed to connect to bus >&2; exit 1\n');
    await h.service('refresh');
  });

  it('on a host that runs systemd after all cron starts nothing, and does not come again', async () => {
    await using h = await host();
    await h.service('enable');
    const entry = await h.read(ENTRY);
    await mkdir(h.at('/run/systemd/system'), { recursive: true });
    await h.service('cron');
    await setTimeout(300);
    assert.deepEqual([await h.agents(), existsSync(h.at(ENTRY))], [[], false]);
    await h.service('enable');
    assert.equal(existsSync(h.at(ENTRY)), false);
    assert.match(await h.read('/systemctl'), /^--quiet enable identree-agent\.service$/m);
    assert.deepEqual(await serviceProblems(h.run), []);
    assert.ok(entry.startsWith('# Managed by identree'));
  });

  it('what keeps cron from it is named, and put back by what is said', async () => {
    await using h = await host();
    await h.service('enable');
    await h.tick();
    const entry = await h.read(ENTRY);
    assert.deepEqual(await serviceProblems(h.run), []);
    const at = h.at(ENTRY);
    for (const [change, words] of [
      [() => writeFile(at, `${entry}* * * * * root true\n`), /not as it was written/],
      [() => writeFile(at, entry.replace('* * * * *', '0 0 1 1 *')), /not as it was written/],
      [() => chmod(at, 0o666), /not as it was written/],
      [() => rm(at).then(() => symlink('other', at)), /not as it was written/],
      [() => rm(at), /is not there/],
    ] as const) {
      await change();
      const [problem = '', ...others] = await serviceProblems(h.run);
      assert.match(problem, words);
      assert.match(problem, /Run: \S+\/service enable$/);
      assert.deepEqual(others, []);
      await h.service('enable');
      assert.deepEqual(await serviceProblems(h.run), []);
      assert.equal(await h.read(ENTRY), entry);
    }
    assert.deepEqual((await readdir(dirname(at))).sort(), ['identree-agent', 'other']);
    const late = Date.now() / 1000 - 240;
    await utimes(h.at('/run/identree/cron'), late, late);
    assert.match((await serviceProblems(h.run)).join(), /cron has not looked/);
    await rm(h.at('/run/identree/cron'));
    assert.match((await serviceProblems(h.run)).join(), /cron has not looked/);
  });
});

describe('setup has the agent kept', () => {
  const answering = (answers: Record<string, string[]>) => {
    const ran: string[] = [];
    const run = async (program: string, [verb = '']: readonly string[]) => {
      assert.equal(program, SERVICE);
      ran.push(verb);
      const [output = '', ...more] = answers[verb] ?? [];
      if (more.length > 0) answers[verb] = more;
      return output.startsWith('!') ? { code: 1, output: output.slice(1) } : { code: 0, output };
    };
    return { run, ran };
  };

  it('with neither systemd nor cron it says so and does nothing', async () => {
    const { run, ran } = answering({ init: ['none'] });
    assert.equal(await keepAgent(run), NO_INIT);
    assert.deepEqual(ran, ['init']);
  });

  it('under systemd it leaves it to its unit', async () => {
    const { run, ran } = answering({ init: ['systemd'] });
    assert.equal(await keepAgent(run), null);
    assert.deepEqual(ran, ['init']);
  });

  it('under cron it starts it, and waits until cron was seen', async () => {
    const { run, ran } = answering({ init: ['cron'], check: ['cron has not looked', ''] });
    assert.equal(await keepAgent(run), null);
    assert.deepEqual(ran, ['init', 'enable', 'start', 'check', 'check']);
  });

  it('a cron that does not come, and a script that fails, are told', async () => {
    assert.equal(await keepAgent(answering({ init: ['cron'], check: ['no cron'] }).run, 0), 'no cron');
    for (const verb of ['init', 'enable', 'start', 'check'])
      assert.match((await keepAgent(answering({ init: ['cron'], [verb]: ['!broken'] }).run, 0)) ?? '', /broken/);
  });
});
