import type { AuthorityNotice, CertificateFacts, ServerProblem, SetupState } from '../setup-state.ts';
import type { Words } from '../words/catalogue.ts';
import { createPinnedHttp } from './pinned-http.ts';
import type { ShellPorts } from './ports.ts';
import type { Profile } from './profile.ts';
import { certificateFacts, certificateFault, readCertificate } from './server-certificate.ts';
import { whatAnswers } from './what-answers.ts';

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
  /** What answers is no identree. */
  onRefused: (typed: string, problem: ServerProblem) => void;
}) {
  const { ports } = deps;
  /** The server that the window is about, with what it showed and the authority that the person named. */
  let current: {
    profile: Profile;
    /** As the person wrote its address. */
    typed: string;
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

  /**
   * The way on from a server that may be asked. What is no identree is said, and is not added.
   *
   * @param answers what answers there, asked by what the person or this computer trusts
   */
  async function goOn(
    profile: Profile,
    typed: string,
    seen: CertificateFacts | null,
    answers: Exclude<Awaited<ReturnType<typeof whatAnswers>>, 'not_trusted'>,
  ): Promise<void> {
    if (typeof answers === 'object') {
      current = null;
      return deps.onRefused(typed, answers.problem);
    }
    await deps.onReady(profile, seen, answers === 'identree' ? null : answers);
  }

  return {
    /** @param typed as the person wrote its address */
    async begin(profile: Profile, typed: string): Promise<void> {
      current = null;
      const mine = Symbol(profile.origin);
      asking = mine;
      const { origin } = profile;
      // Plain HTTP is for this computer alone: there is no certificate to look at.
      const isPlain = origin.startsWith('http:');
      const [seen, answers] = await Promise.all([
        isPlain ? null : ports.certificates.look(origin, null),
        whatAnswers(ports.http, origin),
      ]);
      if (asking !== mine) return;
      const isTrusted = answers !== 'not_trusted';
      if (seen) current = { profile, typed, pem: seen.pem, isTrusted, authority: null, isAsked: false };
      const facts = seen && certificateFacts(seen.pem);
      if (isTrusted) return goOn(profile, typed, facts, answers);
      if (seen) return show(null);
      // What it shows could not be looked at, so that nobody can agree to it.
      await deps.onReady(profile, null, 'certificate_refused');
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
      const { profile, typed, pem, authority } = current;
      const pin = authority ?? pem;
      if (certificateFacts(pin).fingerprint !== fingerprint) return;
      if (certificateFault(pem, profile.origin, ports.clock.now()) !== null) return;
      const kept = readCertificate(pin);
      if (kept === null) return;
      current = null;
      const mine = Symbol(profile.origin);
      asking = mine;
      const pinned = createPinnedHttp({ open: ports.http, pinOf: () => kept });
      const answers = await whatAnswers(pinned, profile.origin);
      if (asking !== mine) return;
      // Of one that is pinned it is never said: there is nobody else to trust.
      const told = answers === 'not_trusted' ? 'certificate_refused' : answers;
      await goOn({ ...profile, pin: kept }, typed, certificateFacts(kept), told);
    },
    /** The window is about something else now. */
    drop(): void {
      current = null;
      asking = null;
    },
  };
}
