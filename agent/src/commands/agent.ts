import { EXIT } from '../exit-codes.ts';
import { command, needRootFor, PATH_OPTIONS } from './context.ts';

export const agent = command({
  name: 'agent',
  help: 'the resident service',
  options: PATH_OPTIONS,
  async run({ log, stopSignal }, { options }) {
    needRootFor(options);
    const { knownPlugins, runAgent } = await import('../app.ts');
    const { hostLines } = await import('../status/status.ts');
    const { readGateState } = await import('../setup/gate-state.ts');
    const look = async () => hostLines(options, await readGateState('/', await knownPlugins()));
    await runAgent(options, { log, look }, stopSignal());
    return EXIT.ok;
  },
});
