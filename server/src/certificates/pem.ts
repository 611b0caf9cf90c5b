import { readFile } from 'node:fs/promises';

/** What settings hold that are PEM themselves or the absolute path of a file with it; null settings hold nothing. */
export async function readPem(...settings: readonly (string | null)[]): Promise<string[]> {
  const given = settings.filter((setting) => setting !== null);
  return Promise.all(given.map((setting) => (setting.startsWith('/') ? readFile(setting, 'utf8') : setting)));
}

/** Only the certificates: an operator's file may hold a private key as well, which must not leave the server. */
export function certificatesOf(pem: string): string {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[A-Za-z0-9+/=\s]+-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => `${block}\n`).join('');
}
