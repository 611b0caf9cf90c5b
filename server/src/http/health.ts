import type { HealthCheck } from '../platform/module.ts';

export interface HealthReport {
  status: 'ok' | 'degraded' | 'unhealthy';
  checks: Record<string, string>;
  /** What there is to say about a check beside its value, by its name. */
  details?: Record<string, string>;
}

/** The same for strangers: what a check names behind a colon or in its detail is left out where that is what is inside. */
export function forStrangers(report: HealthReport, checks: readonly HealthCheck[]): HealthReport {
  const inside = new Set(checks.flatMap(({ name, namesParts }) => (namesParts ? [name] : [])));
  const { details = {}, ...rest } = report;
  const left = Object.entries(details).filter(([name]) => !inside.has(name));
  const words = Object.entries(report.checks).map(([name, value]) => [
    name,
    inside.has(name) ? value.replace(/:.*$/s, '') : value,
  ]);
  return {
    ...rest,
    checks: Object.fromEntries(words),
    ...(left.length > 0 ? { details: Object.fromEntries(left) } : {}),
  };
}

/** A balancer asks every few seconds, and a page of metrics, which has the same checks, waits for a little longer. */
const CHECK_TIMEOUT_MS = 2000;

/** Runs all checks at once; one that hangs counts as failed. */
export async function checkHealth(checks: readonly HealthCheck[]): Promise<HealthReport> {
  const results = await Promise.all(
    checks.map(async (check) => {
      let timer: NodeJS.Timeout | undefined;
      const timeout = new Promise<string>((resolve) => {
        timer = setTimeout(() => resolve('timeout'), CHECK_TIMEOUT_MS);
      });
      const result = await Promise.race([check.run().catch(() => 'error'), timeout]);
      clearTimeout(timer);
      const failure = typeof result === 'object' ? (result?.value ?? null) : result;
      return { check, failure, detail: typeof result === 'object' ? (result?.detail ?? null) : null };
    }),
  );
  const details = results.flatMap(({ check, detail }) => (detail === null ? [] : [[check.name, detail] as const]));
  const failed = results.filter(({ failure }) => failure !== null);
  return {
    status: failed.some(({ check }) => check.severity === 'critical')
      ? 'unhealthy'
      : failed.length > 0
        ? 'degraded'
        : 'ok',
    checks: Object.fromEntries(results.map(({ check, failure }) => [check.name, failure ?? 'ok'])),
    ...(details.length > 0 ? { details: Object.fromEntries(details) } : {}),
  };
}
