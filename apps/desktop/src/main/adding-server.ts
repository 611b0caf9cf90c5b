import type { AuthorityNotice, CertificateFacts, SetupState } from '../setup-state.ts';
import type { Words } from '../words/catalogue.ts';
import type { ShellPorts } from './ports.ts';
import type { Profile } from './profile.ts';
import { certificateFacts, certificateFault, readCertificate } from './server-certificate.ts';

const ASK_MS = 10_000;

/**
 * From the address of a new server to the page where the person signs in. On the way its certificate is shown, and
 * where this computer does not trust it, nothing goes on before the person has agreed to it or named its authority.
 */
export function createAddingServer(deps: {
  ports: Pick<ShellPorts, 'http' | 'certificates' | 'dialogs' | 'clock'>;
  words: Words;
  show: (state: Extract<SetupState, { step: 'certificate' }>) => void;
  /** @param seen the certificate that the server showed; null when nothing is known of it */
  onReady: (profile: Profile, seen: CertificateFacts | null, isReached: boolean) => Promise<void>;
}) {
  const { ports } = deps;
  /** The server that the window is about, with what it showed and the authority that the person named. */
  let current: { profile: Profile; pem: string; isTrusted: boolean; authority: string | null } | null = null;
  let asking: symbol | null = null;

  function show(notice: AuthorityNotice | null): void {
    if (!current) return;
    const { profile, pem, isTrusted, authority } = current;
    deps.show({
      step: 'certificate',
      origin: profile.origin,
      certificate: certificateFacts(pem),
      isTrusted,
      authority: authority === null ? null : certificateFacts(authority),
      fault: certificateFault(pem, profile.origin, ports.clock.now()),
      notice,
    });
  }

  /** Whether this computer trusts the certificate. Nothing is sent when it does not. */
  async function howReached(origin: string): Promise<'trusted' | 'not_trusted' | 'unreached'> {
    const init = { method: 'GET', headers: {}, signal: AbortSignal.timeout(ASK_MS) };
    try {
      const answer = await ports.http.fetch(`${origin}/healthz`, init);
      void answer.body?.cancel().catch(() => {});
      return 'trusted';
    } catch (error) {
      // As Chromium says it. Everything else of TLS is no question of trust, and no agreement mends it.
      return /\bERR_CERT_/.test(String(error)) ? 'not_trusted' : 'unreached';
    }
  }

  return {
    async begin(profile: Profile): Promise<void> {
      current = null;
      const mine = Symbol(profile.origin);
      asking = mine;
      const { origin } = profile;
      // Plain HTTP is for this computer alone: there is no certificate to look at.
      const isPlain = origin.startsWith('http:');
      const [seen, how] = await Promise.all([
        isPlain ? null : ports.certificates.look(origin, null),
        isPlain ? 'trusted' : howReached(origin),
      ]);
      if (asking !== mine) return;
      if (seen) current = { profile, pem: seen.pem, isTrusted: how === 'trusted', authority: null };
      if (seen && how === 'not_trusted') return show(null);
      await deps.onReady(profile, seen && certificateFacts(seen.pem), how === 'trusted');
    },
    /** The person names the one authority that is to vouch for this server. */
    async chooseAuthority(): Promise<void> {
      const about = current;
      if (!about) return;
      const { authorityFile: title, certificateFiles: kind } = deps.words.files;
      const text = await ports.dialogs.openFile({ title, kind, extensions: ['pem', 'crt', 'cer'] });
      if (text === null || current !== about) return;
      const authority = readCertificate(text);
      if (authority === null) return show('not_a_certificate');
      const seen = await ports.certificates.look(about.profile.origin, authority);
      if (current !== about) return;
      if (!seen?.isVouchedFor) return show('not_its_authority');
      current = { ...about, pem: seen.pem, authority };
      show(null);
    },
    /**
     * The person agrees.
     *
     * @param fingerprint of what they were shown: an answer to an older page agrees to nothing
     */
    async trust(fingerprint: string): Promise<void> {
      if (!current) return;
      const { profile, pem, authority } = current;
      const pin = authority ?? pem;
      if (certificateFacts(pin).fingerprint !== fingerprint) return;
      if (certificateFault(pem, profile.origin, ports.clock.now()) !== null) return;
      const kept = readCertificate(pin);
      if (kept === null) return;
      current = null;
      await deps.onReady({ ...profile, pin: kept }, certificateFacts(kept), true);
    },
    /** The window is about something else now. */
    drop(): void {
      current = null;
      asking = null;
    },
  };
}
