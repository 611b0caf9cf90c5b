import type { CommandGroup } from '#shared/command-line/command.ts';
import { ACTOR, type CommandIo, coreCommand, EXIT, type WithCore } from './command.ts';

/** Takes a step, and says what may not be done now without a trace of the program. */
async function take({ err }: WithCore, step: () => Promise<void>): Promise<number> {
  const { CaRefusal } = await import('../hosts/ca-rotation.ts');
  try {
    await step();
    return EXIT.ok;
  } catch (error) {
    if (!(error instanceof CaRefusal)) throw error;
    err(`${error.message}\n`);
    return EXIT.failed;
  }
}

const force = { force: { help: 'also when hosts are left behind; they are named in the event' } } as const;

const ROLES = { signing: 'signs', next: 'is known, and will sign', old: 'counts still, and signs nothing' } as const;

const show = coreCommand({
  name: 'show',
  help: 'the authorities that count, until when, and which hosts a rotation waits for',
  options: { json: { help: 'for programs' } },
  async run({ core, out }, { options }) {
    const { phase, left } = await core.caRotation.status();
    const authorities = core.ca
      .certificates()
      .map(({ role, fingerprint, life }) => ({ role, fingerprint, until: life.until }));
    const waitsFor = left.map(({ id, hostname }) => ({ id, hostname }));
    if (options.json) {
      out(`${JSON.stringify({ phase, authorities, waitsFor }, null, 2)}\n`);
      return EXIT.ok;
    }
    for (const { role, fingerprint, until } of authorities)
      out(`${fingerprint}  ${ROLES[role]}  ends ${new Date(until).toISOString()}\n`);
    if (phase !== 'settled') out(`Waits for: ${waitsFor.map(({ hostname }) => hostname).join(', ') || 'no host'}\n`);
    return EXIT.ok;
  },
});

const rotate = coreCommand({
  name: 'rotate',
  help: 'first step of a new authority: make it, and have hosts learn of it',
  run: (context) =>
    take(context, async () => {
      await context.core.caRotation.begin(ACTOR);
      context.out('Hosts learn of the new authority with their next heartbeat, within ten minutes. Then:\n');
      context.out('  identree-server ca activate\n');
    }),
});

const activate = coreCommand({
  name: 'activate',
  help: 'second step: the new authority signs, and hosts renew their certificates',
  options: force,
  run: (context, { options }) =>
    take(context, async () => {
      await context.core.caRotation.activate(ACTOR, options);
      context.out('Hosts renew their certificates with their next heartbeat. Then:\n  identree-server ca finish\n');
    }),
});

const finish = coreCommand({
  name: 'finish',
  help: 'last step: the old authority counts no more',
  options: force,
  run: (context, { options }) =>
    take(context, async () => {
      await context.core.caRotation.finish(ACTOR, options);
      context.out('The old authority counts no more. Hosts forget it with their next heartbeat.\n');
    }),
});

export const ca: CommandGroup<CommandIo> = {
  name: 'ca',
  help: 'the authority that signs for hosts, and a new one in its place',
  commands: [show, rotate, activate, finish],
};
