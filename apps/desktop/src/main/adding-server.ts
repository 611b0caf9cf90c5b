import type { AuthorityNotice, CertificateFacts, SetupState } from '../setup-state.ts';
import type { Words } from '../words/catalogue.ts';
import type { ShellPorts } from './ports.ts';
import type { Profile } from './profile.ts';
import { offlineKind } from './reach.ts';
import { certificateFacts, certificateFault, readCertificate } from './server-certificate.ts';

const ASK_MS = 10_000;

/**
 * As Chromium says that nobody vouches for a certificate, or that it is not this server's now, which is shown and cannot
 * be agreed to. Everything else is no question of trust: who issued a certificate that was revoked would vouch for it.
 */
const QUESTION_OF_TRUST = /\bERR_CERT_(AUTHORITY_INVALID|COMMON_NAME_INVALID|DATE_INVALID)\b/;

/**
 * From the address of a new server to the page where the person signs in. On the way its certificate is shown, and
 * where this computer does not trust it, nothing goes on before the person has agreed to it or named its authority.
 */
export function createAddingServer(deps: {
  ports: Pick<ShellPorts, 'http' | 'certificates' | 'dialogs' | 'clock'>;
  words: Words;
  show: (state: Extract<SetupState, { step: 'certificate' }>) => void;
  /**
   * @param seen the certificate that the server showed; null when nothing is known of it
   * @param problem why the server was not reached; null when it was
   */
  onReady: (
    profile: Profile,
    seen: CertificateFacts | null,
    problem: 'certificate_refused' | 'server_unreachable' | null,
  ) => Promise<void>;
}) {
  const { ports } = deps;
  /** The server that the window is about, with what it showed and the authority that the person named. */
  let current: {
    profile: Profile;
    pem: string;
    isTrusted: boolean;
    authority: string | null;
    /** The page asks whether it is to be taken. */
    isAsked: boolean;
  } | null = null;
  let asking: symbol | null = null;

  function show(notice: AuthorityNotice | null): void {
    if (!current) return;
    current.isAsked = true;
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
  async function howReached(
    origin: string,
  ): Promise<'trusted' | 'not_trusted' | 'certificate_refused' | 'server_unreachable'> {
    const init = { method: 'GET', headers: {}, signal: AbortSignal.timeout(ASK_MS) };
    try {
      const answer = await ports.http.fetch(`${origin}/healthz`, init);
      void answer.body?.cancel().catch(() => {});
      return 'trusted';
    } catch (error) {
      if (QUESTION_OF_TRUST.test(String(error))) return 'not_trusted';
      return offlineKind({ kind: 'network', error }) === 'certificate' ? 'certificate_refused' : 'server_unreachable';
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
        howReached(origin),
      ]);
      if (asking !== mine) return;
      if (seen) current = { profile, pem: seen.pem, isTrusted: how === 'trusted', authority: null, isAsked: false };
      if (seen && how === 'not_trusted') return show(null);
      const problem = how === 'certificate_refused' || how === 'server_unreachable' ? how : null;
      await deps.onReady(profile, seen && certificateFacts(seen.pem), problem);
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
      if (!current?.isAsked) return;
      const { profile, pem, authority } = current;
      const pin = authority ?? pem;
      if (certificateFacts(pin).fingerprint !== fingerprint) return;
      if (certificateFault(pem, profile.origin, ports.clock.now()) !== null) return;
      const kept = readCertificate(pin);
      if (kept === null) return;
      current = null;
      await deps.onReady({ ...profile, pin: kept }, certificateFacts(kept), null);
    },
    /** The window is about something else now. */
    drop(): void {
      current = null;
      asking = null;
    },
  };
}
