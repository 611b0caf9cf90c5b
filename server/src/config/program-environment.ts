import type { ConfigSources } from './sources.ts';

/** What every program of an operator is given of the server's own environment: what it cannot run without. */
export function programEnvironment(env: ConfigSources['env']): Record<string, string> {
  const given: Record<string, string> = {};
  for (const name of ['PATH', 'HOME']) if (env[name] !== undefined) given[name] = env[name];
  return given;
}
