import { openHost, renewalOf } from '../app.ts';
import { EXIT } from '../exit-codes.ts';
import { type Paths, stateFiles } from '../paths.ts';
import type { Log } from '../platform/log.ts';
import { atomicWrite } from '../state/atomic-write.ts';
import { renewCertificate } from './renew.ts';

/** `identree renew-cert`: what the agent does by itself when two thirds of the certificate's life have passed, now. */
export async function renewNow(paths: Paths, log: Log, print: (line: string) => void): Promise<number> {
  const host = await openHost(paths, { log });
  try {
    const renewal = await renewCertificate(renewalOf(host, paths, log));
    const attempt = { at: Date.now(), problem: renewal.ok ? null : renewal.message };
    await atomicWrite(stateFiles(paths.state).renewal, `${JSON.stringify(attempt)}\n`);
    if (!renewal.ok) {
      print(renewal.message);
      return EXIT.failed;
    }
    print(`This host has a new certificate, ${renewal.serial}. It ends ${new Date(renewal.until).toISOString()}.`);
    return EXIT.ok;
  } finally {
    host.close();
  }
}
