import type { SecretsPort } from './ports.ts';

/** The part of Electron's safeStorage that is used. */
export interface SafeStorage {
  getSelectedStorageBackend(): string;
  isAsyncEncryptionAvailable(): Promise<boolean>;
  encryptStringAsync(text: string): Promise<Buffer>;
  decryptStringAsync(data: Buffer): Promise<{ result: string }>;
}

/**
 * The keychain of the desktop, as Chromium uses it. On Linux it has a key that is the same on every computer, and takes that
 * one without a word: where there is no keychain, and where one is there but locked. The latter is seen in the first
 * characters of what it sealed.
 *
 * @param isGivenUp there is one that said nothing when the program started, and Chromium was told to ask none
 */
export function keychain(
  storage: SafeStorage,
  platform: NodeJS.Platform,
  isGivenUp: () => boolean = () => false,
): SecretsPort {
  const hasEverybodysKey = (data: Buffer): boolean =>
    platform === 'linux' && data.subarray(0, 3).toString('latin1') === 'v10';
  return {
    async problem() {
      if (isGivenUp()) return 'refuses';
      if (platform === 'linux' && ['basic_text', 'unknown'].includes(storage.getSelectedStorageBackend())) {
        return 'missing';
      }
      if (!(await storage.isAsyncEncryptionAvailable())) return 'refuses';
      // Nothing is sealed to nothing.
      return hasEverybodysKey(await storage.encryptStringAsync('anything')) ? 'refuses' : null;
    },
    async encrypt(text) {
      const data = await storage.encryptStringAsync(text);
      if (hasEverybodysKey(data)) throw new Error('the keychain gave no key');
      return data;
    },
    async decrypt(data) {
      if (hasEverybodysKey(data)) throw new Error('sealed without a keychain');
      return (await storage.decryptStringAsync(data)).result;
    },
  };
}
