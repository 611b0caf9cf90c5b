import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { Run } from '../platform/run.ts';
import { atomicWrite, removeLeftovers } from '../state/atomic-write.ts';
import type { Init } from './agent-service.ts';

/** Has the way back taken at a time, whatever has become of the session, of setup, of the agent and of this machine until then. */
export interface RevertTimer {
  /** Replaces an earlier time. @returns why it will not happen; null: it will. */
  arm(until: number): Promise<string | null>;
  disarm(): Promise<void>;
}

const NAME = 'identree-revert';
const UNITS = '/etc/systemd/system';
const CRON = '/etc/cron.d';

const NO_RESTART =
  'this machine has neither systemd nor cron, so that after a restart nobody would know of it. To do without: --no-confirm';

/** Every file that may be there while something waits. */
export const TIMER_FILES = [`${UNITS}/${NAME}.service`, `${UNITS}/${NAME}.timer`, `${CRON}/${NAME}`] as const;

/** What was interrupted, or found one file stuck, goes on after so long. */
const AGAIN_SECONDS = 10;

/** Not of type oneshot, which systemd before 244 does not start again. */
const SERVICE = (command: string) => `# Managed by identree; removed by: identree setup --confirm
[Unit]
Description=identree: what was before a setup that nobody confirmed
StartLimitIntervalSec=0

[Service]
ExecStart=${command}
Restart=on-failure
RestartSec=${AGAIN_SECONDS}
`;

/** `2026-02-03 04:05:06 UTC` */
const calendar = (at: number): string => `${new Date(at).toISOString().slice(0, 19).replace('T', ' ')} UTC`;

/**
 * Two clocks, and the first that strikes counts. The calendar holds through a restart of the machine, also where its time
 * passed while the machine was off; the other one holds when the calendar is set back.
 */
const TIMER = (until: number, seconds: number) => `# Managed by identree; removed by: identree setup --confirm
[Unit]
Description=identree: time for setup to be confirmed

[Timer]
OnCalendar=${calendar(until)}
OnActiveSec=${seconds}
Persistent=true
AccuracySec=1s

[Install]
WantedBy=timers.target
`;

export interface TimerDeps {
  root: string;
  run: Run;
  /** What keeps services alive here. */
  init(): Promise<Init | null>;
  /** The command line that puts everything back. */
  command: readonly string[];
  /** The files of which one says that something waits; a process that sleeps looks for its own time in there. */
  waiting: readonly [string, ...string[]];
  now(): number;
  /** Starts a program that outlives this one and its session. */
  detach?: (program: string, args: readonly string[]) => void;
}

const detached = (program: string, args: readonly string[]): void =>
  spawn(program, args, {
    detached: true,
    stdio: 'ignore',
    cwd: '/',
    env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
  }).unref();

/** Who writes a word with a blank into a unit or a line of a shell writes another command. @returns what is wrong with one */
const oddWord = (words: readonly string[]): string | null => {
  const odd = words.find((word) => !/^[A-Za-z0-9._/@+:=-]+$/.test(word));
  return odd === undefined ? null : `a timer has no way to name ${JSON.stringify(odd)}`;
};

/** systemd's timers where it runs; else a process that sleeps, and cron for when that is gone. */
export function createRevertTimer(deps: TimerDeps): RevertTimer {
  const { root, run, init, command, waiting, now, detach = detached } = deps;
  const put = async (path: string, text: string) => {
    await mkdir(dirname(join(root, path)), { recursive: true, mode: 0o755 });
    await atomicWrite(join(root, path), text, 0o644);
  };

  async function disarm(): Promise<void> {
    const systemd = (await init()) === 'systemd';
    if (systemd) {
      await run('systemctl', ['disable', '--now', '--quiet', `${NAME}.timer`]);
      await run('systemctl', ['clean', '--what=state', `${NAME}.timer`]);
    }
    for (const path of TIMER_FILES) {
      await rm(join(root, path), { force: true });
      await removeLeftovers(join(root, path));
    }
    if (systemd) await run('systemctl', ['daemon-reload']);
  }

  async function armSystemd(until: number, seconds: number): Promise<string | null> {
    await put(TIMER_FILES[0], SERVICE(command.join(' ')));
    await put(TIMER_FILES[1], TIMER(until, seconds));
    for (const args of [
      ['daemon-reload'],
      ['enable', '--quiet', `${NAME}.timer`],
      ['restart', `${NAME}.timer`],
      ['is-active', `${NAME}.timer`],
    ]) {
      const { code, output } = await run('systemctl', args);
      if (code !== 0) return `systemctl ${args.join(' ')}: ${output || code}`;
    }
    return null;
  }

  async function armAlone(until: number, seconds: number): Promise<string | null> {
    const isDue = `cat ${waiting.join(' ')} 2>/dev/null | grep -q '"until":${until},'`;
    // One at a time, whichever of them comes first.
    const back = `flock --nonblock ${dirname(waiting[0])} ${command.join(' ')}`;
    const again = `while ${isDue}; do ${back} && exit; sleep ${AGAIN_SECONDS}; done`;
    // The process may be killed, and in a container that is started again nothing is left of it, while a cron that finds its
    // /run as it was does not know of a start. To cron, % ends a line.
    const isOver = `test $(date +\\%s) -ge ${Math.ceil(until / 1000)}`;
    const text = `# Managed by identree; removed by: identree setup --confirm
@reboot root ${again}
* * * * * root if ${isOver} && ${isDue}; then ${back}; fi
`;
    await put(TIMER_FILES[2], text);
    detach('/bin/sh', ['-c', `sleep ${seconds}; ${again}`]);
    return null;
  }

  const armBy = { systemd: armSystemd, cron: armAlone, none: async () => NO_RESTART };

  return {
    async arm(until) {
      const odd = oddWord([...command, ...waiting]);
      if (odd !== null) return odd;
      const seconds = Math.max(1, Math.ceil((until - now()) / 1000));
      try {
        const problem = await armBy[(await init()) ?? 'none'](until, seconds);
        if (problem !== null) await disarm();
        return problem;
      } catch (error) {
        await disarm().catch(() => undefined);
        return error instanceof Error ? error.message : String(error);
      }
    },
    disarm,
  };
}
