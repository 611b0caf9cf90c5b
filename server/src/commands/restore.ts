import { configCommand, EXIT } from './command.ts';

export const restore = configCommand({
  name: 'restore',
  help: 'put a backup back where the configuration says',
  operands: { folder: {} },
  async run({ config, out }, { operands }) {
    const backups = await import('../backup/backup.ts');
    const { rows, head } = await backups.restore(config, operands.folder);
    out(`Restored ${rows} rows and the keys, up to event ${head.seq}.\n`);
    return EXIT.ok;
  },
});
