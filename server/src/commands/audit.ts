import type { CommandGroup } from '#shared/command-line/command.ts';
import { isSinkName } from '../config/sections/audit-sinks.ts';
import { ACTOR, type CommandIo, coreCommand, EXIT } from './command.ts';

const deadLetters = coreCommand({
  name: 'dead-letters',
  help: 'events that the receiver of a sink refused for good: list them, or have them tried again',
  options: {
    sink: {
      value: 'NAME',
      help: 'of this sink alone: jsonlog, syslog, splunk_hec, loki, or a further one like syslog_2',
    },
    seq: { value: 'NUMBER', help: 'this event alone' },
    json: { help: 'for programs' },
  },
  operands: { action: { choices: ['list', 'retry'] } },
  async run({ core, out, err }, { options, operands }) {
    const { createDeadLetters } = await import('../audit/dead-letters.ts');
    const { visibleText } = await import('#shared/visible-text.ts');
    const letters = createDeadLetters(core);
    const sink = options.sink ?? undefined;
    if (sink !== undefined && !isSinkName(sink)) {
      err('--sink: not the name of a sink, like jsonlog, syslog, splunk_hec, loki or syslog_2\n');
      return EXIT.usage;
    }
    if (options.seq !== null && !/^[1-9][0-9]{0,14}$/.test(options.seq)) {
      err('--seq: not the number of an event\n');
      return EXIT.usage;
    }
    const seq = options.seq === null ? undefined : Number(options.seq);
    if (operands.action === 'retry') {
      const count = await letters.retry({ ...(sink ? { sink } : {}), ...(seq ? { seq } : {}) }, ACTOR);
      out(count === 0 ? 'Nothing was refused.\n' : `${count} to be tried again, by the server that delivers.\n`);
      return EXIT.ok;
    }
    const found = (await letters.list(sink)).filter((letter) => seq === undefined || letter.seq === seq);
    if (options.json) {
      out(`${JSON.stringify(found, null, 2)}\n`);
      return EXIT.ok;
    }
    if (found.length === 0) out('Nothing was refused.\n');
    for (const letter of found) {
      const when = new Date(letter.refusedAt).toISOString();
      const again = letter.retry ? '  (to be tried again)' : '';
      const event = visibleText(letter.event ?? 'no longer in the log');
      // A receiver chose the words, and this goes to a terminal.
      out(`${letter.sink}  ${letter.seq}  ${event}  ${when}  ${visibleText(letter.reason)}${again}\n`);
    }
    return EXIT.ok;
  },
});

export const audit: CommandGroup<CommandIo> = {
  name: 'audit',
  help: 'where events go beside the database',
  commands: [deadLetters],
};
