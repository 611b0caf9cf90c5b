import type { Ground, Module } from '../platform/module.ts';
import { builtInPolicySource, createPolicyFile, type PolicySource } from './source.ts';

/** What a request needs. */
export function policiesModule({ config, log }: Pick<Ground, 'config' | 'log'>) {
  const policies: PolicySource =
    config.policiesFile === null ? builtInPolicySource : createPolicyFile(config.policiesFile);
  return {
    name: 'policies',
    health: [
      {
        name: 'policy',
        severity: 'critical',
        run: async () => {
          const state = await policies.current();
          if (!state.ok)
            log.error({ problem: state.problem }, 'the approval policy cannot be used: nothing is decided');
          return state.ok ? null : 'broken';
        },
      },
    ],
    policies,
  } satisfies Module & Record<string, unknown>;
}
