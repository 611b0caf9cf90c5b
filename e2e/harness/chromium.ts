import { createHash, X509Certificate } from 'node:crypto';
import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Browser, type BrowserContext, chromium, type Page } from '@playwright/test';
import { WHOLE_CHROMIUM } from './chromium-program.ts';
import type { Lab } from './lab.ts';
import { SERVER_NAME } from './lab.ts';
import { relay } from './relay.ts';

const LOOPBACK = '127.0.0.1';

/** Why no browser can run here; null when one can. */
export const whyNoChromium = (): string | null =>
  existsSync(WHOLE_CHROMIUM) ? null : 'needs Chromium (Debian package chromium)';

/** SHA-256 of a certificate's public key, as Chromium's --ignore-certificate-errors-spki-list wants it. */
export function spkiHash(pem: string): string {
  const der = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(der).digest('base64');
}

/** Leads a port of loopback in the network in front of a lab to the same one of this machine. */
const lead = async (lab: Lab, port: number) => relay(await lab.listenInFront(port, LOOPBACK), { host: LOOPBACK, port });

/**
 * A whole browser for which the server's name leads to the lab and exactly the lab's certificate counts as good: for the
 * shell of one, no page is secure then. It is in the network in front of the lab: Chromium gives up what it is loading
 * when a network of its machine comes or goes, and hosts of other labs bring theirs.
 *
 * @param ports on loopback of this machine that it reaches too
 */
export async function openChromium(lab: Lab, ports: readonly number[]): Promise<Browser> {
  const program = join(lab.dir, 'chromium');
  const command = await lab.enterFront([WHOLE_CHROMIUM]);
  await writeFile(program, `#!/bin/sh\nexec ${command.join(' ')} "$@"\n`, { mode: 0o755 });
  const led = await Promise.all(ports.map((port) => lead(lab, port)));
  const browser = await chromium.launch({
    executablePath: program,
    args: [
      `--host-resolver-rules=MAP ${SERVER_NAME} ${lab.serverAddress}`,
      `--ignore-certificate-errors-spki-list=${spkiHash(lab.certs.cert)}`,
      '--no-proxy-server',
    ],
  });
  browser.on('disconnected', () => {
    for (const { close } of led) close();
  });
  return browser;
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
