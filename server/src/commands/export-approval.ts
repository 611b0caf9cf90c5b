import { writeFile } from 'node:fs/promises';
import type { ApprovalBundle } from '#shared/approval-bundle.ts';
import { challengeId } from '#shared/names.ts';
import { createCore } from '../app/core.ts';
import { findChallenge, isUnreadable } from '../challenges/store.ts';
import { readChallengeEvents } from '../events/store.ts';
import { getApproverKeySet } from '../passkeys/store.ts';
import { type Command, EXIT } from './command.ts';

/** `identree-server export-approval ID [FILE]`: one decision with everything that proves it. */
export async function exportApproval(command: Command, [id, file]: string[]): Promise<number> {
  if (!challengeId.safeParse(id).success) {
    command.err('use: identree-server export-approval ID [FILE]\n');
    return EXIT.usage;
  }
  const core = await createCore(command.config);
  try {
    const challenge = await findChallenge(core.db.query, id!);
    if (challenge && isUnreadable(challenge)) {
      command.err(`What is stored of this request cannot be read: ${challenge.cause}\n`);
      return EXIT.failed;
    }
    if (!challenge?.verdict || challenge.approver_keys_version === null) {
      command.err(challenge ? 'This request is not decided yet.\n' : 'There is no such request.\n');
      return EXIT.failed;
    }
    const keys = await getApproverKeySet(core.db.query, challenge.approver_keys_version);
    const bundle: ApprovalBundle = {
      v: 1,
      challengeId: challenge.id,
      record: challenge.record,
      verdict: challenge.verdict,
      approverKeys: keys.token,
      events: await readChallengeEvents(core.db.query, challenge.id),
      claimed: core.trust,
    };
    const text = `${JSON.stringify(bundle, null, 2)}\n`;
    if (file === undefined) command.out(text);
    else await writeFile(file, text, { flag: 'wx', mode: 0o600 });
    return EXIT.ok;
  } finally {
    await core.close();
  }
}
