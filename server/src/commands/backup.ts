import { configCommand, EXIT } from './command.ts';

export const backup = configCommand({
  name: 'backup',
  help: 'copy database and keys into a new folder',
  operands: { folder: {} },
  async run({ config, out }, { operands: { folder } }) {
    const { backUp } = await import('../backup/backup.ts');
    const { rows, head } = await backUp(config, folder);
    out(`Backed up ${rows} rows and the keys, up to event ${head.seq}, into ${folder}.\n`);
    return EXIT.ok;
  },
});
