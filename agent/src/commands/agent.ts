import { EXIT } from '../exit-codes.ts';
import { OWN_PLUGIN } from '../version.ts';
import { command, needRootFor, PATH_OPTIONS } from './context.ts';

export const agent = command({
  name: 'agent',
  help: 'the resident service',
  options: PATH_OPTIONS,
  async run({ log, stopSignal }, { options }) {
    needRootFor(options);
    const { runAgent } = await import('../app.ts');
    const { hostLines } = await import('../status/status.ts');
    const { readGateState } = await import('../setup/gate-state.ts');
    const look = async () => hostLines(options, await readGateState('/', OWN_PLUGIN));
    await runAgent(options, { log, look }, stopSignal());
    return EXIT.ok;
  },
});
