import type { ApprovalBundle } from '#shared/approval-bundle.ts';
import { ACTOR, coreCommand, EXIT } from './command.ts';

export const exportApproval = coreCommand({
  name: 'export-approval',
  help: 'write one decision with everything that proves it',
  operands: { id: {}, file: { optional: true } },
  async run({ core, out, err }, { operands: { id, file } }) {
    const { challengeId } = await import('#shared/names.ts');
    if (!challengeId.safeParse(id).success) {
      err('ID is that of a request: 32 digits and letters, as in the address of its page.\n');
      return EXIT.usage;
    }
    const { findChallenge, isUnreadable } = await import('../challenges/store.ts');
    const { readChallengeEvents } = await import('../events/store.ts');
    const { getApproverKeySet } = await import('../passkeys/store.ts');
    const { query } = core.db;
    const challenge = await findChallenge(query, id);
    if (challenge && isUnreadable(challenge)) {
      err(`What is stored of this request cannot be read: ${challenge.cause}\n`);
      return EXIT.failed;
    }
    if (!challenge?.verdict || challenge.approver_keys_version === null) {
      err(challenge ? 'This request is not decided yet.\n' : 'There is no such request.\n');
      return EXIT.failed;
    }
    const bundle: ApprovalBundle = {
      v: 2,
      challengeId: challenge.id,
      record: challenge.record,
      verdict: challenge.verdict,
      approverKeys: (await getApproverKeySet(query, challenge.approver_keys_version)).token,
      events: await readChallengeEvents(query, challenge.id),
      claimed: core.trust,
    };
    const { createLogReads } = await import('../audit/log-reads.ts');
    const read = { what: 'evidence', filter: { request: challenge.id }, rows: bundle.events.length } as const;
    await createLogReads(core).record({ actor: ACTOR, issuer: null, subject: null, remoteAddr: null }, read);
    const text = `${JSON.stringify(bundle, null, 2)}\n`;
    if (file === null) out(text);
    else {
      const { writeNew } = await import('../platform/key-files.ts');
      await writeNew(file, text);
    }
    return EXIT.ok;
  },
});
