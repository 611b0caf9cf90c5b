import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInside, runtimeFolder } from '../e2e/desktop/namespace.ts';
import { RESULT_FILE, type Samples, type Sizes } from './desktop/samples.ts';
import { type BenchResult, machineFacts, misses, note, percentile, printReport, round } from './report.ts';

/**
 * `npm run bench:desktop`: what the installed desktop console costs, and how soon it tells of a request. The package is
 * made and installed in a copy of this machine that forgets it; the program runs there as an ordinary user, under Xvfb,
 * with stand-ins for notifications and tray, and with three servers on loopback.
 */

const root = join(import.meta.dirname, '..');
const json = process.argv.includes('--json');
const quick = process.argv.includes('--quick');
const SIZES: Sizes = quick
  ? { starts: 3, requests: 10, idleMs: 10_000, settleMs: 5000 }
  : { starts: 10, requests: 100, idleMs: 60_000, settleMs: 20_000 };

const runtime = await runtimeFolder();
if (!runtime.ok) {
  note(`bench:desktop: ${runtime.skip}`);
  process.exit(2);
}
const out = mkdtempSync(join(tmpdir(), 'identree-bench-desktop-'));
try {
  note('making the package ...');
  // A process of its own, because electron-builder writes to standard output.
  const options = ['--electron', runtime.folder, '--out', out, ...(quick ? ['--quick'] : [])];
  const args = ['--disable-warning=ExperimentalWarning', join(root, 'scripts/package-desktop.ts'), ...options];
  execFileSync(process.execPath, args, { cwd: root, stdio: ['ignore', 2, 2] });
  const deb = join(out, readdirSync(out).find((name) => name.endsWith('.deb'))!);
  note('running it ...');
  const outcome = await runInside('bench/desktop/*.bench.ts', { deb, results: out, bench: JSON.stringify(SIZES) });
  if (!outcome.ok) throw new Error(outcome.skip);
  const failed = outcome.results.filter(({ status }) => status === 'failed');
  if (failed.length > 0) throw new Error(failed.map(({ name, detail }) => `${name.join(' > ')}\n${detail}`).join('\n'));
  const samples = JSON.parse(readFileSync(join(out, RESULT_FILE), 'utf8')) as Samples;
  const timed = (metric: string, all: readonly number[], goals: Partial<BenchResult>): BenchResult => ({
    metric,
    unit: 'ms',
    value: round(percentile(all, 0.5)),
    p99: round(percentile(all, 0.99)),
    ...goals,
  });
  const results: BenchResult[] = [
    timed('desktop_window_ms', samples.windowMs, { goal: 1500 }),
    { metric: 'desktop_idle_mb', unit: 'MB', value: round(percentile(samples.idleMb, 0.5)), goal: 300 },
    { metric: 'desktop_idle_cpu_percent', unit: '%', value: round(samples.idleCpuPercent), goal: 0.5 },
    timed('event_to_notification_ms', samples.notificationMs, { target: 500 }),
    { metric: `package_mb, ${quick ? 'gzip' : 'xz'}`, unit: 'MB', value: round(statSync(deb).size / 1e6) },
  ];
  const run = { processes: samples.processes, servers: 3, ...SIZES };
  printReport({ bench: 'desktop', results, run, machine: machineFacts() }, json);
  const late = results.filter(({ p99, target }) => target !== undefined && (p99 ?? 0) > target);
  for (const { metric } of [...misses(results), ...late]) note(`not reached: ${metric}`);
  process.exitCode = misses(results).length + late.length > 0 ? 1 : 0;
} catch (error) {
  note(`bench:desktop failed: ${error instanceof Error ? error.message : String(error)}`);
  process.exitCode = 2;
} finally {
  rmSync(out, { recursive: true, force: true });
}
