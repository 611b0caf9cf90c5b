import type { ClientDefaults } from '#shared/client-defaults.ts';
import type { loadSettings } from '../app.ts';
import type { Line } from './line.ts';

const UNITS = [
  ['h', 3_600_000],
  ['m', 60_000],
  ['s', 1000],
] as const;

/** As client.conf may say it: `15m`, `1h30m`. */
function durationText(ms: number): string {
  let left = ms;
  let text = '';
  for (const [unit, size] of UNITS) {
    const count = Math.floor(left / size);
    if (count > 0) text += `${count}${unit}`;
    left -= count * size;
  }
  return left > 0 || text === '' ? `${text}${left}ms` : text;
}

const DAY_MS = 86_400_000;

/** The settings in which a server has a say, each with who says so. */
export function settingsLine({ conf, file, defaults }: Awaited<ReturnType<typeof loadSettings>>): Line {
  const told = defaults?.current() ?? {};
  const by = (name: keyof ClientDefaults): string =>
    file.said.has(name) ? 'client.conf' : told[name] === undefined ? 'built in' : 'server';
  const { enabled, type, maximumAgeMs } = conf.breakGlass;
  const value = [
    `timeout ${durationText(conf.timeoutMs)} (${by('timeoutMs')})`,
    `break-glass ${enabled ? 'on' : 'off'} (${by('breakGlassEnabled')})`,
    `its password ${type} (${by('breakGlassPasswordType')})`,
    `replaced after ${maximumAgeMs / DAY_MS} days (${by('breakGlassRotationDays')})`,
  ].join(', ');
  return { what: 'Settings', value, problem: defaults?.problem() ?? null };
}
