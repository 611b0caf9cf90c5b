import type { ApproverKeySet } from '#shared/decision.ts';
import { type PinnedTrust, readApproverKeySet } from '#shared/verify-verdict.ts';
import { atomicWrite } from './atomic-write.ts';
import { readTrustedFile, UntrustedFile } from './trusted-file.ts';

/** The approver-key set that this host has accepted; it never goes back a version. */
export interface ApproverKeys {
  current(): ApproverKeySet;
  /** Takes a newer set that the trust root signed. Anything else is left alone. */
  offer(token: string): Promise<'accepted' | 'not_newer' | 'rejected'>;
}

/** @throws UntrustedFile when the stored set is missing or does not verify. */
export async function openApproverKeys(path: string, trust: PinnedTrust): Promise<ApproverKeys> {
  const stored = await readTrustedFile(path, { maxBytes: 4 * 1024 * 1024 });
  const read = stored && (await readApproverKeySet(stored.toString('utf8').trim(), trust, 0));
  if (!read?.ok) throw new UntrustedFile(path, `${path} is damaged. Enrol this host again: identree enroll --replace.`);
  let set = read.set;
  let writing: Promise<unknown> = Promise.resolve();
  const accept = async (token: string): Promise<'accepted' | 'not_newer' | 'rejected'> => {
    const offered = await readApproverKeySet(token, trust, set.version + 1);
    if (!offered.ok) return offered.problem === 'rolled_back' ? 'not_newer' : 'rejected';
    // On disk first: after a crash the host must not accept a set older than one it has acted on.
    await atomicWrite(path, `${token}\n`);
    set = offered.set;
    return 'accepted';
  };
  return {
    current: () => set,
    offer(token) {
      const turn = writing.then(() => accept(token));
      writing = turn.catch(() => undefined);
      return turn;
    },
  };
}
