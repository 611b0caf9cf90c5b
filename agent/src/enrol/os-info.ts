import { readFile } from 'node:fs/promises';
import { arch } from 'node:os';

/** `Debian GNU/Linux 12 (bookworm) x64`, from os-release(5). At most 256 characters. */
export async function osInfo(files = ['/etc/os-release', '/usr/lib/os-release']): Promise<string> {
  for (const file of files) {
    const text = await readFile(file, 'utf8').catch(() => null);
    const name = text && /^PRETTY_NAME=(["']?)(.*)\1$/m.exec(text)?.[2];
    if (name) return `${name} ${arch()}`.slice(0, 256);
  }
  return `linux ${arch()}`;
}
