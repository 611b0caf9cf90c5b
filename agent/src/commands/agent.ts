import { setFlagsFromString } from 'node:v8';
import { EXIT } from '../exit-codes.ts';
import { command, needRootFor, PATH_OPTIONS } from './context.ts';

/** What the compilers keep in memory stays for as long as the agent does, on every host. */
const INTERPRETED = ['--no-opt', '--no-maglev', '--no-sparkplug'];

export const agent = command({
  name: 'agent',
  help: 'the resident service',
  options: PATH_OPTIONS,
  async run({ log, stopSignal }, { options }) {
    needRootFor(options);
    for (const flag of INTERPRETED) setFlagsFromString(flag);
    const { knownPlugins, runAgent } = await import('../app.ts');
    const { hostLines } = await import('../status/status.ts');
    const { readGateState } = await import('../setup/gate-state.ts');
    const look = async () => hostLines(options, await readGateState('/', await knownPlugins()));
    await runAgent(options, { log, look }, stopSignal());
    return EXIT.ok;
  },
});
