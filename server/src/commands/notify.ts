import type { CommandGroup } from '#shared/command-line/command.ts';
import { ACTOR, type CommandIo, coreCommand, EXIT } from './command.ts';

const countOf = (count: number, one: string, more = `${one}s`): string => `${count} ${count === 1 ? one : more}`;

const importFile = coreCommand({
  name: 'import',
  help: 'take over notification-channels.json or admin-notifications.json of the Go identree',
  options: {},
  operands: { file: {} },
  async run({ core, out, err, readFile }, { operands }) {
    const { readEarlierFile } = await import('../notify/earlier-file.ts');
    const { importEarlier } = await import('../notify/import.ts');
    const { createConfigured } = await import('../notify/configured.ts');
    const { createRoutes } = await import('../notify/route-rules.ts');
    const { createChosen } = await import('../notify/chosen.ts');
    const { peopleCalled } = await import('../auth/people-store.ts');
    const { visibleText } = await import('#shared/visible-text.ts');
    const read = readEarlierFile(readFile(operands.file));
    if (!read.ok) {
      err(`${operands.file}: ${visibleText(read.problem)}\n`);
      return EXIT.failed;
    }
    const imported = await importEarlier(read.file, {
      // The server says of each channel what is wrong with it when it delivers on it.
      configured: createConfigured({ ...core, createChannel: null, wake: () => {} }),
      routes: createRoutes(core),
      peopleCalled: (username) => peopleCalled(core.db.query, username),
      choose: createChosen(core).import,
      by: { personId: null, isAdmin: true, username: ACTOR, remoteAddr: null },
    });
    const { channels, routes, people } = imported;
    out(
      read.file.kind === 'channels'
        ? `Taken over: ${countOf(channels, 'channel')} and ${countOf(routes, 'route')}.\n`
        : `Taken over: what ${countOf(people, 'person', 'people')} had chosen.\n`,
    );
    for (const line of imported.left) out(`  left: ${visibleText(line)}\n`);
    return EXIT.ok;
  },
});

export const notify: CommandGroup<CommandIo> = {
  name: 'notify',
  help: 'who is told what happens, and where',
  commands: [importFile],
};
