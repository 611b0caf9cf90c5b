import { type KeyObject, sign } from 'node:crypto';
import { lstat, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  formatRelease,
  formatSignature,
  INSTALL_KEY,
  INSTALL_SCRIPT,
  isSigned,
  MANIFEST,
  type ReleaseFile,
  sha256Hex,
  signatureOf,
} from '#shared/release.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { publicPem, readInput, readSigningKey, readVerifyKey } from './keys.ts';

const signatureText = (bytes: Buffer, key: KeyObject): string => formatSignature(sign(null, bytes, key));

/** Signs one file. @throws CommandError */
export async function signScript(keyPath: string, script: string, sig: string): Promise<void> {
  const key = await readSigningKey(keyPath);
  await writeFile(sig, signatureText(await readInput(script), key));
}

/** Version, and for which hosts: `amd64.deb`, `x86_64.rpm`. */
const PACKAGE = /^identree-agent[_-]([^_-]+)(?:_|-1\.)((?:amd64|arm64)\.deb|(?:x86_64|aarch64)\.rpm)$/;

/** Where the installer has the key that it believes. */
const KEY_OF_SCRIPT = /(cat <<'INSTALL_KEY'\n)[\s\S]*?(^INSTALL_KEY$)/m;

/**
 * Signs what a server is to hand out: the key goes into `install.sh`, a line for each file into the manifest, and both are
 * signed. What is not listed is not handed out.
 *
 * @throws CommandError
 */
export async function signFolder(keyPath: string, folder: string): Promise<ReleaseFile[]> {
  const key = await readSigningKey(keyPath);
  const scriptPath = join(folder, INSTALL_SCRIPT);
  const template = (await readInput(scriptPath)).toString('utf8');
  const script = Buffer.from(template.replace(KEY_OF_SCRIPT, (_, head, end) => `${head}${publicPem(key)}${end}`));
  await writeFile(scriptPath, script);
  const files: ReleaseFile[] = [];
  const machines = new Map<string, string>();
  const versions = new Set<string>();
  for (const name of await readdir(folder)) {
    const [, version, machine] = PACKAGE.exec(name) ?? [];
    if (name !== INSTALL_SCRIPT && (version === undefined || machine === undefined)) continue;
    if (version !== undefined && machine !== undefined) {
      const other = machines.get(machine);
      if (other !== undefined)
        throw new CommandError(EXIT.failed, `${other} and ${name} are for the same hosts: take one away.`);
      machines.set(machine, name);
      versions.add(version);
    }
    if (!(await lstat(join(folder, name))).isFile()) throw new CommandError(EXIT.failed, `${name} is no plain file.`);
    const bytes = await readInput(join(folder, name));
    files.push({ name, size: bytes.length, sha256: sha256Hex(bytes) });
  }
  const [version] = versions;
  if (version === undefined) throw new CommandError(EXIT.failed, `${folder} holds no package of the agent.`);
  if (versions.size > 1)
    throw new CommandError(EXIT.failed, `${folder} holds packages of ${[...versions].join(' and ')}.`);
  const manifest = Buffer.from(formatRelease({ version, files }));
  await writeFile(join(folder, INSTALL_KEY), publicPem(key));
  await writeFile(join(folder, signatureOf(INSTALL_SCRIPT)), signatureText(script, key));
  await writeFile(join(folder, MANIFEST), manifest);
  await writeFile(join(folder, signatureOf(MANIFEST)), signatureText(manifest, key));
  return files;
}

/** `identree verify-install`: whether a script is as it was signed. @throws CommandError when something cannot be read */
export async function verifyInstall(keyPath: string, script: string, sig: string): Promise<boolean> {
  const key = await readVerifyKey(keyPath);
  return isSigned(await readInput(script), (await readInput(sig)).toString('utf8'), key);
}
