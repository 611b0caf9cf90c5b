import { connect, getCiphers } from 'node:tls';

/** Every suite of TLS 1.2 that this Node can speak, weak ones as well. */
const SUITES = getCiphers()
  .filter((name) => !name.startsWith('tls_'))
  .map((name) => name.toUpperCase());

const speaks = (port: number, ciphers: string): Promise<boolean> =>
  new Promise((resolve) => {
    const options = { host: '127.0.0.1', port, rejectUnauthorized: false, maxVersion: 'TLSv1.2' } as const;
    const socket = connect({ ...options, ciphers: `${ciphers}:@SECLEVEL=0` });
    const end = (spoken: boolean): void => {
      socket.destroy();
      resolve(spoken);
    };
    socket.once('secureConnect', () => end(true));
    socket.once('error', () => end(false));
    socket.once('close', () => end(false));
  });

/** Which suites of TLS 1.2 a listener agrees to, by trying each alone. */
export async function agreedSuites(port: number): Promise<string[]> {
  const agreed: string[] = [];
  for (const suite of SUITES) if (await speaks(port, suite)) agreed.push(suite);
  return agreed.sort();
}

const AUTHENTICATED = ['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'];

/** What a listener may agree to with a key of this kind. */
export const agreeable = (key: 'ECDSA' | 'RSA'): string[] => AUTHENTICATED.map((cipher) => `ECDHE-${key}-${cipher}`);
