import { EXIT } from '../exit-codes.ts';
import { command, needRootFor, PATH_OPTIONS } from './context.ts';

export const agent = command({
  name: 'agent',
  help: 'the resident service',
  options: PATH_OPTIONS,
  async run({ log, stopSignal }, { options }) {
    needRootFor(options);
    const { runAgent } = await import('../app.ts');
    await runAgent(options, log, stopSignal());
    return EXIT.ok;
  },
});
