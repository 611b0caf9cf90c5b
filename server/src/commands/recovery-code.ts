import { ACTOR, coreCommand, EXIT } from './command.ts';

/** Above all for the only administrator, who can ask no other. An operator who can run this can read the keys anyway. */
export const recoveryCode = coreCommand({
  name: 'recovery-code',
  help: 'let a person replace lost passkeys',
  operands: { username: {} },
  async run({ core, out, err }, { operands: { username } }) {
    const { peopleCalled } = await import('../auth/people-store.ts');
    const { createRecoveryCodes } = await import('../passkeys/recovery-codes.ts');
    const [person, ...others] = await peopleCalled(core.db.query, username);
    if (person === undefined || others.length > 0) {
      err(
        person === undefined
          ? `Nobody has signed in as ${username} yet.\n`
          : `Several people are called ${username}; an administrator makes the code in the console.\n`,
      );
      return EXIT.failed;
    }
    const codes = createRecoveryCodes(core);
    const made = await codes.create(person.id, { personId: null, username: ACTOR, remoteAddr: null });
    const until = new Date(made.expiresAt).toISOString();
    err(`For ${username} (${person.subject} at ${person.issuer}), once, until ${until}:\n`);
    out(`${made.code}\n`);
    return EXIT.ok;
  },
});
