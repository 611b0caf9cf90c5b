import type { Config } from '../config/config.ts';
import { type CommandIo, configCommand, EXIT } from './command.ts';

/** The word in place of a folder. */
const ACCEPT = 'accept';

const NEXT =
  'Hosts that have seen later events refuse the decisions of this server until you say that they may go on from here:\n' +
  '  identree-server restore accept --operator NAME --reason TEXT\n';

/** Lets hosts go on from the log as it is. */
async function accept(config: Config, by: { operator: string; reason: string }, out: CommandIo['out']) {
  const { createCore } = await import('../app/core.ts');
  const { startEpoch } = await import('../events/start-epoch.ts');
  const core = await createCore(config, { takesNewLogKey: true });
  try {
    const { epoch, hosts } = await startEpoch(core, by);
    // Those that have not spoken to this server since cannot have said so.
    const said =
      hosts === 0
        ? 'No host has told this server yet that it has seen other events.'
        : `Hosts that had contradicted it: ${hosts}.`;
    out(`The event log goes on from event ${epoch.seq}, in the name of ${by.operator}. ${said}\n`);
    out('Hosts follow it with their next report, within five minutes.\n');
  } finally {
    await core.close();
  }
}

export const restore = configCommand({
  name: 'restore',
  help: 'put a backup back where the configuration says; "restore accept" then lets hosts go on from it',
  options: {
    operator: { value: 'NAME', help: 'with accept: who answers for it, for the event log and for hosts' },
    reason: { value: 'TEXT', help: 'with accept: why' },
  },
  operands: { folder: {} },
  async run({ config, out, err }, { operands, options: { operator, reason } }) {
    if (operands.folder === ACCEPT) {
      if (!operator?.trim() || !reason?.trim()) {
        err(`What hosts have seen is given up, so it takes a name and a reason.\n${NEXT}`);
        return EXIT.usage;
      }
      await accept(config, { operator: operator.trim(), reason: reason.trim() }, out);
      return EXIT.ok;
    }
    const backups = await import('../backup/backup.ts');
    const { systemClock } = await import('../platform/clock.ts');
    const { rows, head } = await backups.restore(config, operands.folder, systemClock.now());
    out(`Restored ${rows} rows and the keys, up to event ${head.seq}.\n${NEXT}`);
    return EXIT.ok;
  },
});
