import type { Host } from './lab.ts';

const LOG = '/srv/steps';

export interface Killed {
  /** False: it came to its end before. */
  wasKilled: boolean;
  /** Each change of a file and each start of a program up to there, the one that was kept from happening included. */
  steps: string[];
  said: string;
}

/** Runs a command as root that is killed before its n-th step; with 0 it comes to its end. */
export async function killedAt(host: Host, n: number, command: readonly string[]): Promise<Killed> {
  await host.sh(`rm -f ${LOG}`);
  const vars = ['LD_PRELOAD=/usr/local/lib/lab/labkill.so', `LAB_KILL_AT=${n}`, `LAB_KILL_LOG=${LOG}`];
  const { stdout, stderr } = await host.exec(['env', ...vars, ...command], { timeoutMs: 180_000 });
  const steps = (await host.sh(`cat ${LOG}`)).trim().split('\n');
  return { wasKilled: n > 0 && steps.length === n, steps, said: stdout + stderr };
}
