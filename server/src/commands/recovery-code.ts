import { createCore } from '../app/core.ts';
import { peopleCalled } from '../auth/people-store.ts';
import { createRecoveryCodes } from '../passkeys/recovery-codes.ts';
import { type Command, EXIT } from './command.ts';

/**
 * `identree-server recovery-code USERNAME`: for who has lost their last passkey, above all the only administrator, who
 * has nobody else to ask. Whoever can run this reads the keys anyway.
 */
export async function recoveryCode(command: Command, [username]: string[]): Promise<number> {
  if (!username) {
    command.err('use: identree-server recovery-code USERNAME\n');
    return EXIT.usage;
  }
  const core = await createCore(command.config);
  try {
    const people = await peopleCalled(core.db.query, username);
    if (people.length !== 1) {
      command.err(
        people.length === 0
          ? `Nobody has signed in as ${username} yet.\n`
          : `Several people are called ${username}; an administrator makes the code in the console.\n`,
      );
      return EXIT.failed;
    }
    const codes = createRecoveryCodes(core);
    const made = await codes.create(people[0]!.id, { personId: null, username: 'identree-server', remoteAddr: null });
    command.err(
      `For ${username} (${people[0]!.subject} at ${people[0]!.issuer}), once, until ${new Date(made.expiresAt).toISOString()}:\n`,
    );
    command.out(`${made.code}\n`);
    return EXIT.ok;
  } finally {
    await core.close();
  }
}
