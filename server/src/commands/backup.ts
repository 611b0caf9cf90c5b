import { configCommand, EXIT } from './command.ts';

export const backup = configCommand({
  name: 'backup',
  help: 'copy database and keys into a new folder',
  options: { json: { help: 'for programs' } },
  operands: { folder: {} },
  async run({ config, out }, { operands: { folder }, options }) {
    const { backUp } = await import('../backup/backup.ts');
    const { rows, head } = await backUp(config, folder);
    if (options.json) {
      out(`${JSON.stringify({ folder, rows, head }, null, 2)}\n`);
      return EXIT.ok;
    }
    out(`Backed up ${rows} rows and the keys, up to event ${head.seq}, into ${folder}.\n`);
    return EXIT.ok;
  },
});
