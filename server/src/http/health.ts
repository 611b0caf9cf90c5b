import { access, constants } from 'node:fs/promises';

/** One component of the health report: what it says when it is well and what a failure means. */
export interface HealthCheck {
  name: string;
  /** Null when well, else the failure value of the operations guide. */
  run(): Promise<string | null>;
  /** `critical` answers 503, `degraded` 200. */
  severity: 'critical' | 'degraded';
}

export interface HealthReport {
  status: 'ok' | 'degraded' | 'unhealthy';
  checks: Record<string, string>;
}

const CHECK_TIMEOUT_MS = 3000;

/** Runs all checks at once; one that hangs counts as failed. */
export async function checkHealth(checks: readonly HealthCheck[]): Promise<HealthReport> {
  const results = await Promise.all(
    checks.map(async (check) => {
      let timer: NodeJS.Timeout | undefined;
      const timeout = new Promise<string>((resolve) => {
        timer = setTimeout(() => resolve('timeout'), CHECK_TIMEOUT_MS);
      });
      const failure = await Promise.race([check.run().catch(() => 'error'), timeout]);
      clearTimeout(timer);
      return { check, failure };
    }),
  );
  const failed = results.filter(({ failure }) => failure !== null);
  return {
    status: failed.some(({ check }) => check.severity === 'critical')
      ? 'unhealthy'
      : failed.length > 0
        ? 'degraded'
        : 'ok',
    checks: Object.fromEntries(results.map(({ check, failure }) => [check.name, failure ?? 'ok'])),
  };
}

/** `disk`: the folder of keys or database can be written. */
export function diskCheck(folder: string): HealthCheck {
  return {
    name: 'disk',
    severity: 'critical',
    run: async () => {
      try {
        await access(folder, constants.W_OK);
        return null;
      } catch {
        return 'not_writable';
      }
    },
  };
}
