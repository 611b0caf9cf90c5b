import { createHash, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { type Browser, type BrowserContext, chromium, type Page } from '@playwright/test';
import type { Lab } from './lab.ts';
import { SERVER_NAME } from './lab.ts';

const EXECUTABLE = process.env.CHROMIUM ?? '/usr/bin/chromium';

/** Why no browser can run here; null when one can. */
export const whyNoChromium = (): string | null =>
  existsSync(EXECUTABLE) ? null : 'needs Chromium (Debian package chromium)';

/** SHA-256 of a certificate's public key, as Chromium's --ignore-certificate-errors-spki-list wants it. */
export function spkiHash(pem: string): string {
  const der = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('base64');
}

/** A real browser for which the server's name leads to the lab and exactly the lab's certificate counts as good. */
export async function openChromium(lab: Lab): Promise<Browser> {
  return chromium.launch({
    executablePath: EXECUTABLE,
    args: [
      `--host-resolver-rules=MAP ${SERVER_NAME} ${lab.serverAddress}`,
      `--ignore-certificate-errors-spki-list=${spkiHash(lab.certs.cert)}`,
      '--no-proxy-server',
    ],
  });
}

/** A tab with a passkey device that is always willing. */
export async function openTab(context: BrowserContext): Promise<Page> {
  const page = await context.newPage();
  const session = await context.newCDPSession(page);
  await session.send('WebAuthn.enable', { enableUI: false });
  await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  });
  return page;
}
