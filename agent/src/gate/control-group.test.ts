import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, rm, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const OF_VERSION_2 = /^(?:\S+ ){4}(\S+) .*- cgroup2 /m;

/** Where a group can be made that can be frozen; null: not here. */
async function groups(): Promise<string | null> {
  const at = OF_VERSION_2.exec(await readFile('/proc/self/mountinfo', 'latin1'))?.[1];
  if (at === undefined || process.geteuid?.() !== 0) return null;
  return access(join(at, 'cgroup.procs')).then(
    () => at,
    () => null,
  );
}

const at = await groups();
const sources = (path: string) => JSON.stringify(new URL(path, import.meta.url).href);

describe('the control group of whoever asks', () => {
  it('is handed over to them, who may freeze it: who has left it goes on', {
    skip: at === null ? 'needs root and control groups of version 2' : false,
  }, async () => {
    const group = join(at!, `identree-test-${process.pid}`);
    await mkdir(group);
    const script = `
      import { leaveCallersGroup } from ${sources('control-group.ts')};
      leaveCallersGroup();
      process.stdout.write('left');
      process.stdin.on('data', () => process.stdout.write('goes on')).on('end', () => process.exit());`;
    const child = spawn(
      'sh',
      [
        ...['-c', 'echo $$ >"$1" && shift && exec "$@"', 'sh', join(group, 'cgroup.procs')],
        ...[process.execPath, '--input-type=module', '--eval', script],
      ],
      { stdio: ['pipe', 'pipe', 'inherit'] },
    );
    const over = new Promise((resolve) => child.on('close', resolve));
    const says = () =>
      Promise.race([
        new Promise((resolve) => child.stdout.once('data', (chunk: Buffer) => resolve(String(chunk)))),
        sleep(10_000, 'nothing', { ref: false }),
      ]);
    try {
      assert.equal(await says(), 'left');
      await writeFile(join(group, 'cgroup.freeze'), '1');
      const said = says();
      child.stdin.write('?');
      assert.equal(await said, 'goes on');
    } finally {
      await writeFile(join(group, 'cgroup.freeze'), '0');
      child.kill('SIGKILL');
      await over;
      await rmdir(group);
    }
  });

  it('is left by the gate that sudo starts, before it takes anything that others wait for', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'identree-direct-'));
    const told = `
      import fs from 'node:fs';
      import { syncBuiltinESMExports } from 'node:module';
      const real = fs.readFileSync;
      fs.readFileSync = (path, ...more) => {
        if (path === '/proc/self/mountinfo') fs.writeSync(1, 'leaves ');
        return real(path, ...more);
      };
      const open = fs.promises.open;
      fs.promises.open = (...args) => (fs.writeSync(1, 'opens '), open(...args));
      syncBuiltinESMExports();`;
    const child = spawn(
      process.execPath,
      [
        ...['--import', `data:text/javascript,${encodeURIComponent(told)}`],
        ...[new URL('../main.ts', import.meta.url).pathname, 'gate', '--direct'],
        ...['--config', join(folder, 'client.conf'), '--state', folder],
      ],
      { stdio: ['pipe', 'pipe', 'ignore'] },
    );
    child.stdin.on('error', () => undefined);
    const said = (await child.stdout.toArray()).join('');
    await rm(folder, { recursive: true });
    assert.match(said, /^leaves /);
  });
});
