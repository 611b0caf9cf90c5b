import { CommandError, EXIT } from '../exit-codes.ts';
import { command, PATH_OPTIONS } from './context.ts';

export const gate = command({
  name: 'gate',
  help: 'used by the PAM stage when the service is down',
  options: { ...PATH_OPTIONS, direct: { help: 'speak with the stage on standard input' } },
  async run({ log }, { options }) {
    if (!options.direct) throw new CommandError(EXIT.usage, 'identree gate needs --direct. The PAM stage starts it.');
    // The stage ends us by signal once it has its verdict; what is left to report gets its chance.
    process.on('SIGTERM', () => undefined);
    const { leaveCallersGroup } = await import('../gate/control-group.ts');
    // Before anything that others wait for is taken.
    leaveCallersGroup();
    const { runDirectGate } = await import('../app.ts');
    await runDirectGate(options, log);
    return EXIT.ok;
  },
});
