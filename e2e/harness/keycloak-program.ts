import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

const VERSION = '26.3.5';
const ARTIFACT = `org.keycloak:keycloak-quarkus-dist:${VERSION}:zip`;
const UNPACK = 'org.apache.maven.plugins:maven-dependency-plugin:3.6.1:unpack';
const OLDEST_JAVA = 17;

const folder = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'identree-keycloak');
const unpacked = join(folder, `keycloak-${VERSION}`);

/** Why the Java of this machine runs no Keycloak; null when it does. */
function whyNoJava(): string | null {
  const { status, stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' });
  if (status !== 0) return 'there is no Java to run Keycloak with';
  const major = Number(/version "(\d+)/.exec(stderr)?.[1]);
  return major >= OLDEST_JAVA ? null : `Keycloak needs Java ${OLDEST_JAVA}, and this one is ${major}`;
}

/**
 * The folder of a real Keycloak: the one that KEYCLOAK_HOME names, or else what `fetchKeycloak` unpacked; null when there
 * is neither, or no Java for it.
 */
export function findKeycloak(): string | null {
  if (whyNoJava() !== null) return null;
  if (process.env.KEYCLOAK_HOME) return resolve(process.env.KEYCLOAK_HOME);
  return existsSync(unpacked) ? unpacked : null;
}

/** Unpacks the release from Maven Central unless there is one already. Null when there is one afterwards, else why not. */
export async function fetchKeycloak(): Promise<string | null> {
  const java = whyNoJava();
  if (java !== null || findKeycloak() !== null) return java;
  if (spawnSync('mvn', ['-version']).status !== 0) return 'there is no Maven to fetch Keycloak with';
  await mkdir(folder, { recursive: true });
  const work = await mkdtemp(join(folder, '.unpack-'));
  try {
    const arguments_ = ['-q', '-B', UNPACK, `-Dartifact=${ARTIFACT}`, `-DoutputDirectory=${work}`];
    const fetched = spawnSync('mvn', arguments_, { cwd: work, encoding: 'utf8', timeout: 10 * 60_000 });
    if (fetched.status !== 0) return `Maven gave no Keycloak: ${(fetched.stdout ?? '').trim().slice(-2000)}`;
    await rename(join(work, `keycloak-${VERSION}`), unpacked);
    return null;
  } finally {
    await rm(work, { recursive: true, force: true });
  }
}
