import { healthCheck } from '../platform/health-check.ts';
import type { Ground, Module } from '../platform/module.ts';
import { announcePolicy } from './announce.ts';
import { builtInPolicySource, createPolicyFile, type PolicySource } from './source.ts';

/** How soon another policy is noted, milliseconds. A decision reads the file by itself. */
const LOOK_EVERY_MS = 2000;

/** What a request needs. */
export function policiesModule(ground: Pick<Ground, 'config' | 'log' | 'db' | 'events' | 'clock'>) {
  const { config, log } = ground;
  const policies: PolicySource =
    config.policiesFile === null ? builtInPolicySource : createPolicyFile(config.policiesFile);
  /** Which policy offline grants have to be of. Null: none counts, because none is made or nothing may be decided. */
  const policyForGrants = async (): Promise<string | null> => {
    const state = await policies.current();
    return config.offlineGrantMs > 0 && state.ok ? state.policy.version : null;
  };
  const announce = () => announcePolicy(ground, policies);
  return {
    name: 'policies',
    health: [
      healthCheck({
        name: 'policy',
        about: 'The file of approval policies.',
        severity: 'critical',
        values: {
          broken:
            'It is missing, or what it says is no policy. Nothing is decided. The log says what is wrong; mend the file, it is read again at once.',
        },
        run: async () => {
          const state = await policies.current();
          if (!state.ok)
            log.error({ problem: state.problem }, 'the approval policy cannot be used: nothing is decided');
          return state.ok ? null : 'broken';
        },
      }),
    ],
    jobs: [{ name: 'policy in force', everyMs: LOOK_EVERY_MS, run: announce }],
    start: announce,
    policies,
    policyForGrants,
  } satisfies Module & Record<string, unknown>;
}
