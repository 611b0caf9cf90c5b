import { execFileSync } from 'node:child_process';
import { cpus, loadavg, totalmem } from 'node:os';

export interface BenchResult {
  metric: string;
  unit: string;
  value: number;
  p99?: number;
  /** What has to be reached, and where it should end. */
  goal?: number;
  target?: number;
  /** A ratio is good when it is high; everything else when it is low. */
  better?: 'higher';
  peer?: { name: string; version: string; value: number };
  ratio?: number;
  /** For a ratio: our own value, and the quartiles of the rounds. */
  own?: { unit: string; value: number };
  quartiles?: readonly [number, number];
}

export interface BenchReport {
  bench: string;
  results: BenchResult[];
  /** Facts about the run that decide whether it counts. */
  run?: Record<string, unknown>;
  machine: { cpus: number; model: string; memoryMb: number; load: number; node: string; kernel: string };
}

/** Progress, on standard error: with `--json` standard output is one object. */
export const note = (text: string): void => void process.stderr.write(`${text}\n`);

/** How far something long has come, said at most every five seconds. */
export function createProgress(what: string, total: number, say: (text: string) => void = note) {
  let done = 0;
  let said = performance.now();
  return {
    step(): void {
      done += 1;
      if (performance.now() - said < 5000) return;
      said = performance.now();
      say(`  ${what}: ${done} of ${total}`);
    },
  };
}

/** Facts about the machine that numbers mean nothing without. `load`: one-minute load average at the end. */
export function machineFacts(): BenchReport['machine'] {
  return {
    cpus: cpus().length,
    model: cpus()[0]?.model ?? 'unknown',
    memoryMb: Math.round(totalmem() / 1024 / 1024),
    load: round(loadavg()[0] ?? 0),
    node: process.version,
    kernel: execFileSync('uname', ['-r'], { encoding: 'utf8' }).trim(),
  };
}

export const round = (value: number): number => Number(value.toFixed(value < 10 ? 2 : 1));

/** The value below which a share `p` (0..1) of the samples lies, nearest rank. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = [...samples].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(p * sorted.length) - 1))] ?? Number.NaN;
}

/** One JSON object with `--json`, else a table for people. */
export function printReport(report: BenchReport, json: boolean): void {
  if (json) {
    process.stdout.write(`${JSON.stringify(report)}\n`);
    return;
  }
  const { machine } = report;
  process.stdout.write(
    `${report.bench}: ${machine.cpus} x ${machine.model}, Node ${machine.node}, load ${machine.load}\n`,
  );
  for (const { metric, unit, value, p99, goal, target, own, quartiles, peer, ratio } of report.results) {
    const parts = [`  ${metric.padEnd(38)} ${String(value).padStart(9)} ${unit}`];
    if (p99 !== undefined) parts.push(`p99 ${p99}`);
    if (goal !== undefined) parts.push(`goal ${goal}`);
    if (target !== undefined) parts.push(`target ${target}`);
    if (quartiles) parts.push(`half of ${quartiles.join(' … ')}`);
    if (own) parts.push(`${own.value} ${own.unit}`);
    if (peer) parts.push(`${peer.name} ${peer.version}: ${peer.value}`);
    if (ratio !== undefined) parts.push(`ratio ${ratio}`);
    process.stdout.write(`${parts.join('   ')}\n`);
  }
}

/** Results that miss their goal. Of a ratio half of the rounds may lie below, as long as a quarter is above. */
export function misses(results: readonly BenchResult[]): BenchResult[] {
  return results.filter(({ value, goal, better, quartiles }) => {
    if (goal === undefined) return false;
    return better === 'higher' ? Math.max(value, quartiles?.[1] ?? value) < goal : value > goal;
  });
}
