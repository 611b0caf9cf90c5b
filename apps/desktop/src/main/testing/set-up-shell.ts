import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { CHANNELS } from '../../channels.ts';
import type { SetupState } from '../../setup-state.ts';
import { createCredentialStore } from '../credential-store.ts';
import type { ExternalLink } from '../external-link.ts';
import type { OpenerPort } from '../ports.ts';
import { boundsFile, partitionOf, profileFile } from '../profile.ts';
import { settingsFile } from '../settings.ts';
import { createShell } from '../shell.ts';
import { createFakeInbox } from './fake-inbox.ts';
import { fakePorts, fakeSecrets } from './fake-ports.ts';
import { startFakeServer } from './fake-server.ts';
import { until } from './until.ts';

type Answer = NonNullable<NonNullable<Parameters<typeof fakePorts>[0]>['answer']>;
type SignInLink = Extract<ExternalLink, { kind: 'sign-in' }>;
const FILE = { type: 'text/html; charset=utf-8', bytes: Buffer.from('<p>page') };

/**
 * A shell on a desktop without a screen, with two servers over real HTTP and a browser in which the person always agrees.
 * For tests.
 */
export async function setUpShell(
  t: TestContext,
  options: { keychain?: boolean; visit?: boolean; language?: string; answer?: Answer; patienceMs?: number } = {},
) {
  const sites = await Promise.all(
    [0, 1].map(async () => {
      const inbox = createFakeInbox();
      const server = await startFakeServer(inbox.answer);
      t.after(() => server.close());
      return { ...server, inbox };
    }),
  );
  const [server, second] = sites as [(typeof sites)[0], (typeof sites)[0]];
  const folder = mkdtempSync(join(tmpdir(), 'identree-shell-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const opened: { origin: string; link: ExternalLink }[] = [];
  const visit = async (origin: string, link: SignInLink) => {
    const code = sites.find((site) => site.origin === origin)!.consent(link.codeChallenge);
    await fetch(`${link.redirectUri}?${new URLSearchParams({ code, state: link.state })}`);
  };
  const opener: OpenerPort = {
    async open(origin, link) {
      opened.push({ origin, link });
      if (link.kind === 'sign-in' && options.visit !== false) void visit(origin, link);
      return true;
    },
  };
  const secrets = fakeSecrets({ available: options.keychain ?? true });
  async function start(inBackground = false) {
    const desk = fakePorts({ opener, secrets, ...(options.answer === undefined ? {} : { answer: options.answer }) });
    // The real clock decides about the credential's life, the fake one about the pace of clicks.
    const credentials = createCredentialStore({
      folder,
      secrets,
      clock: { now: () => Date.now() },
      ...(options.patienceMs === undefined ? {} : { patienceMs: options.patienceMs }),
    });
    const shell = createShell({
      ports: desk.ports,
      profiles: profileFile(folder),
      bounds: boundsFile(folder),
      settings: settingsFile(folder),
      credentials,
      files: { console: () => FILE, setup: () => FILE },
      random: randomBytes,
      language: options.language ?? 'en',
      version: '0.0.0',
      ...(options.patienceMs === undefined ? {} : { keychainPatienceMs: options.patienceMs }),
      platform: 'test',
    });
    t.after(shell.stop);
    await shell.start(inBackground);
    const state = () => desk.send(CHANNELS.setupState) as Promise<SetupState>;
    return {
      ...desk,
      shell,
      state,
      async signIn(origin = server.origin) {
        await desk.send(CHANNELS.saveServer, origin);
        await desk.send(CHANNELS.startSignIn);
        await until('the console', () => desk.current().spec.partition === partitionOf({ origin }));
      },
      /** The lines of the servers in the menu. */
      lines: () =>
        desk.menu.model!.servers.entries.flatMap((entry) =>
          entry === 'line' || entry.action?.do !== 'show-server' ? [] : [`${entry.chosen ? '*' : ''}${entry.label}`],
        ),
    };
  }
  return { server, second, folder, opened, secrets, start };
}
