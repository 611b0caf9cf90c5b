import { setTimeout } from 'node:timers/promises';
import type { Run } from '../platform/run.ts';

/** What keeps services alive on a host. */
export type Init = 'systemd' | 'cron';

/** The agent as a service of its host, for either. See agent/packaging/service.sh. */
export const SERVICE = '/usr/lib/identree/service';

/** @returns null where there is neither, or no identree is installed. */
export async function initOf(run: Run): Promise<Init | null> {
  const { code, output } = await run(SERVICE, ['init']);
  return code === 0 && (output === 'systemd' || output === 'cron') ? output : null;
}

const COMMANDS = {
  on: { systemd: 'systemctl enable --now identree-agent', cron: `${SERVICE} enable && ${SERVICE} start` },
  off: { systemd: 'systemctl disable --now identree-agent', cron: `${SERVICE} disable` },
  start: { systemd: 'systemctl start identree-agent', cron: `${SERVICE} start` },
  restart: { systemd: 'systemctl restart identree-agent', cron: `${SERVICE} restart` },
  look: { systemd: 'systemctl status identree-agent', cron: `${SERVICE} check` },
} as const;

/** What an administrator types. Where nothing keeps services alive it is what they would type under systemd. */
export const serviceCommand = (init: Init | null, what: keyof typeof COMMANDS): string =>
  COMMANDS[what][init ?? 'systemd'];

/** What would keep the agent from being started again by cron, in sentences; nothing where systemd does it. */
export async function serviceProblems(run: Run): Promise<string[]> {
  const { code, output } = await run(SERVICE, ['check']);
  if (code !== 0) return [`${SERVICE} check: ${output || code}`];
  return output.split('\n').filter((line) => line !== '');
}

/** Why setup does nothing where there is neither. */
export const NO_INIT =
  'This host runs neither systemd nor cron (a daemon that reads /etc/cron.d), so nothing would start the agent again.';

/** cron looks each minute, and may just have done so. */
const CRON_MS = 75_000;
const LOOK_MS = 500;

/**
 * Has the agent started, and started again. Under cron that includes that cron was seen to do it; under systemd it is for the
 * administrator to enable the unit, and nothing is done here.
 *
 * @returns why it would not stay; null: it will.
 */
export async function keepAgent(run: Run, patienceMs = CRON_MS): Promise<string | null> {
  for (const verb of ['init', 'enable', 'start']) {
    const { code, output } = await run(SERVICE, [verb]);
    if (code !== 0) return `${SERVICE} ${verb}: ${output || code}`;
    if (verb === 'init' && output === 'systemd') return null;
    if (verb === 'init' && output !== 'cron') return NO_INIT;
  }
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const [problem] = await serviceProblems(run);
    if (problem === undefined || Date.now() >= deadline) return problem ?? null;
    await setTimeout(LOOK_MS);
  }
}
