import { command, needRootFor, PATH_OPTIONS } from './context.ts';

export const rotateBreakglass = command({
  name: 'rotate-breakglass',
  help: 'replace the password that opens this host when its server cannot be reached, if it is due',
  options: {
    ...PATH_OPTIONS,
    force: { help: 'also when it is not due' },
    local: { help: 'keep it from the server, and print it' },
    unattended: { help: 'only where the server keeps it: nobody reads what is printed' },
  },
  async run({ print, log }, { options }) {
    needRootFor(options);
    const { rotateHere } = await import('../break-glass/here.ts');
    const { force, local, unattended } = options;
    const tell = (line: string) => process.stderr.write(`${line}\n`);
    return rotateHere(options, { force, local, unattended }, { log, print, tell });
  },
});
