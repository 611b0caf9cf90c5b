import { readFile } from 'node:fs/promises';
import type { CertificateAuthority } from './authority.ts';

/** Certificate chain and private key, both in PEM. */
export interface ServerCertificate {
  certificate: string;
  key: string;
}

/** Where a listener gets its certificate. */
export type CertificateSource =
  | { from: 'files'; certFile: string; keyFile: string }
  /** Issued by the embedded CA, which every host pins at enrolment. */
  | { from: 'authority'; authority: Pick<CertificateAuthority, 'issueServer'>; names: readonly string[] };

const HOUR = 3_600_000;
/** A timer of Node counts to 2^31 milliseconds. */
const LONGEST_WAIT = 24 * HOUR;

/**
 * A certificate that is always good: files are read again when they change, an issued one is replaced when two thirds
 * of its life have passed, or when `refresh` is called: another authority signs, or others count.
 *
 * @throws when files cannot be read at the start. Later the old ones stay in use.
 */
export async function keepServerCertificate(deps: {
  source: CertificateSource;
  now: () => number;
  onChange: (fresh: ServerCertificate) => void;
  onError: (error: unknown) => void;
}): Promise<{ current: ServerCertificate; refresh(): Promise<void>; stop(): void }> {
  const { source } = deps;
  let timer: NodeJS.Timeout;

  async function load(): Promise<{ fresh: ServerCertificate; lookAgainIn: number }> {
    if (source.from === 'files') {
      const [certificate, key] = await Promise.all([
        readFile(source.certFile, 'utf8'),
        readFile(source.keyFile, 'utf8'),
      ]);
      return { fresh: { certificate, key }, lookAgainIn: HOUR };
    }
    const { expiresAt, ...fresh } = await source.authority.issueServer(source.names);
    return { fresh, lookAgainIn: ((expiresAt - deps.now()) * 2) / 3 };
  }

  const first = await load();
  let current = first.fresh;
  const wait = (ms: number): void => {
    timer = setTimeout(() => void again(ms), Math.min(ms, LONGEST_WAIT)).unref();
  };
  async function again(planned: number): Promise<void> {
    if (planned > LONGEST_WAIT) {
      wait(planned - LONGEST_WAIT);
      return;
    }
    try {
      const { fresh, lookAgainIn } = await load();
      if (fresh.certificate !== current.certificate || fresh.key !== current.key) {
        deps.onChange(fresh);
        current = fresh;
      }
      wait(lookAgainIn);
    } catch (error) {
      deps.onError(error);
      wait(HOUR);
    }
  }
  wait(first.lookAgainIn);
  return {
    current: first.fresh,
    async refresh() {
      try {
        current = (await load()).fresh;
      } catch (error) {
        deps.onError(error);
      }
      // Also with the certificate of before: else an authority that counts no more would go on to count.
      deps.onChange(current);
    },
    stop: () => clearTimeout(timer),
  };
}
