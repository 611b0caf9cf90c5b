import type { BreakGlassConf } from '../config/client-conf.ts';
import { readHashFile } from './hash-file.ts';

const DAY_MS = 86_400_000;

/** The agent replaces it when it is due; some days later something keeps it from that. */
const LATE_MS = 7 * DAY_MS;

/** How it stands with the password that opens this host, and what is wrong with it. @throws UntrustedFile */
export async function breakGlassStatus(
  conf: BreakGlassConf,
  unreported: number,
  now: number,
): Promise<{ value: string; problem: string | null }> {
  if (!conf.enabled) return { value: 'turned off: no password opens this host', problem: null };
  const stored = await readHashFile(conf.file);
  // Only where somebody keeps passwords does the agent make one by itself.
  if (stored === null) return { value: 'no password: while the server is dead, nobody gets in', problem: null };
  const days = Math.max(0, Math.floor((now - stored.createdAt) / DAY_MS));
  const kept =
    stored.escrowId === null
      ? 'only who made it knows it'
      : stored.sealedTo === null
        ? 'the server keeps it'
        : 'the server keeps it sealed to people';
  const uses = unreported === 0 ? '' : `, ${unreported} ${unreported === 1 ? 'use' : 'uses'} not reported yet`;
  const late = now - stored.createdAt > conf.maximumAgeMs + LATE_MS;
  return {
    value: `a password of ${days === 0 ? 'today' : days === 1 ? 'yesterday' : `${days} days ago`}, ${kept}${uses}`,
    problem: late ? 'It should have been replaced by now. Run: identree rotate-breakglass' : null,
  };
}
