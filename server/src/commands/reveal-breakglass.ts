import { ACTOR, coreCommand, EXIT } from './command.ts';

const REASON = { least: 3, most: 500 };

/** For when the server that would show it is what is dead. Who can run this can read database and key anyway. */
export const revealBreakglass = coreCommand({
  name: 'reveal-breakglass',
  help: 'show the break-glass password of a host while the server does not run',
  options: { reason: { value: 'TEXT', help: 'why, for the history' } },
  operands: { host: {} },
  async run({ core, out, err }, { options, operands }) {
    const reason = (options.reason ?? '').trim();
    if (reason.length < REASON.least || reason.length > REASON.most) {
      err(`Say why: --reason TEXT (${REASON.least} to ${REASON.most} characters). It is written down.\n`);
      return EXIT.usage;
    }
    const { createEscrowBackend } = await import('../escrow/create-backend.ts');
    const { systemHttp } = await import('../escrow/http.ts');
    const { createRunCommand } = await import('../platform/run-command.ts');
    const { createKeeping } = await import('../escrow/keeping.ts');
    const { noteReveal } = await import('../escrow/service.ts');
    const backend = createEscrowBackend(core.config.escrow, {
      http: systemHttp,
      random: core.random,
      run: createRunCommand(),
    });
    const keeping = createKeeping({ ...core, backend, counted: () => {} });
    const named = (await core.hosts.list()).filter(({ id, hostname }) => [id, hostname].includes(operands.host));
    if (named.length !== 1) {
      err(
        named.length === 0
          ? `No host is called ${operands.host}. Those that are: identree-server hosts list\n`
          : `Several hosts are called ${operands.host}; take the id: ${named.map(({ id }) => id).join(', ')}\n`,
      );
      return EXIT.failed;
    }
    const host = named[0]!;
    const kept = await keeping.reveal(core.db.query, host);
    // Before anything is shown.
    await core.db.transaction((work) =>
      noteReveal(core, work, host, { kept, reason, actor: ACTOR, remoteAddr: null, by: {} }),
    );
    err(`For ${host.hostname}${kept.length > 1 ? ', the newest first' : ''}. The host is asked for another one.\n`);
    for (const { password, sealed } of kept) {
      if (sealed === null) {
        out(`${password}\n`);
        continue;
      }
      err(`It is sealed: it takes ${sealed.threshold} of ${sealed.parts.length} people. See docs/break-glass.md.\n`);
      for (const { recipient, age } of sealed.parts) out(`# ${recipient}\n${age.trimEnd()}\n`);
    }
    return EXIT.ok;
  },
});
