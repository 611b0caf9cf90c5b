import type { ClientDefaults } from '#shared/client-defaults.ts';
import type { loadSettings } from '../app.ts';
import type { ClientConf } from '../config/client-conf.ts';
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

const unknownText = ({ name, meant }: ClientConf['unknown'][number]): string =>
  `client.conf: ${name} is no setting, so it changes nothing. ${meant === null ? 'Remove it.' : `Is ${meant} meant?`}`;

/** The settings in which a server has a say, each with who says so; and what is none, once for each. */
export function settingsLines({ conf, file, defaults }: Awaited<ReturnType<typeof loadSettings>>): Line[] {
  const current = defaults?.current() ?? {};
  const by = (name: keyof ClientDefaults): string =>
    file.said.has(name) ? 'client.conf' : current[name] === undefined ? 'built in' : 'server';
  const { enabled, type, maximumAgeMs } = conf.breakGlass;
  const value = [
    `timeout ${durationText(conf.timeoutMs)} (${by('timeoutMs')})`,
    `break-glass ${enabled ? 'on' : 'off'} (${by('breakGlassEnabled')})`,
    `its password ${type} (${by('breakGlassPasswordType')})`,
    `replaced after ${maximumAgeMs / DAY_MS} days (${by('breakGlassRotationDays')})`,
  ].join(', ');
  const told = defaults?.problem() ?? null;
  const problems = [...(told === null ? [] : [told]), ...file.unknown.map(unknownText)];
  return (problems.length === 0 ? [null] : problems).map((problem) => ({ what: 'Settings', value, problem }));
}
