import type { DeployedRelease } from './release.ts';

/** What begins the lines that are ours among those of the installer. */
const MARK = 'identree-deploy';

/** What a host says of itself. */
export type Mark =
  /** It waits to be told. `enrolled`: its name and server; null: it is enrolled nowhere. */
  | { kind: 'found'; enrolled: { name: string; server: string } | null }
  /** What was run ended with this code. `hostId`: as whom the host is enrolled then; empty: as nobody. */
  | { kind: 'end'; code: number; hostId: string }
  /** It is not the one that was installed, and nothing was done there. */
  | { kind: 'other' };

const HOST_ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Null for a line of the installer. */
export function readMark(line: string): Mark | null {
  const [mark, kind, ...rest] = line.trimEnd().split(' ');
  if (mark !== MARK) return null;
  if (kind === 'new') return { kind: 'found', enrolled: null };
  if (kind === 'enrolled') return { kind: 'found', enrolled: { name: rest[0] ?? '', server: rest[1] ?? '' } };
  if (kind === 'other') return { kind };
  const [code = '', hostId = ''] = rest;
  if (kind !== 'end' || !/^\d{1,3}$/.test(code)) return null;
  return { kind, code: Number(code), hostId: HOST_ID.test(hostId) ? hostId : '' };
}

/**
 * The command that ssh is given: it reads a script of so many bytes from its standard input and runs it as root. In an
 * argument it could be read by every account of the host, and a shell that is none of sh would have to understand it.
 */
export const remoteCommand = (script: string): string =>
  `sh -c 'if [ "$(id -u)" = 0 ]; then as=; else as="sudo -n"; fi; exec $as sh -c "eval \\"\\$(head -c ${Buffer.byteLength(script)})\\""'`;

const quoted = (text: string): string => `'${text.replaceAll("'", "'\\''")}'`;

const HEAD = `umask 077
PATH=/usr/sbin:/usr/bin:/sbin:/bin
export PATH LC_ALL=C
say() { printf '${MARK} %s\\n' "$*"; }
of() {
  [ ! -e /var/lib/identree/identity.json ] ||
    sed -n 's/^ *"'"$1"'": "\\([^"]*\\)".*/\\1/p' /var/lib/identree/identity.json
}
`;

/**
 * Says whether the host is enrolled, waits to be told to go on, and runs the installer, which follows on standard input
 * with a line for the token. Without a word it ends, and has changed nothing.
 *
 * The installer goes on when nobody listens any more: a connection that is lost must not leave half a package.
 */
export const installScript = (release: DeployedRelease, words: readonly string[]): string => `${HEAD}
if [ -e /var/lib/identree/identity.json ]; then say enrolled "$(of hostname)" "$(of externalUrl)"; else say new; fi
IFS= read -r go || exit 0
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
head -c ${release.script.length} > "$work/install.sh"
if [ "$(sha256sum < "$work/install.sh" | cut -d' ' -f1)" != ${release.sha256} ]; then
  echo 'the installer did not arrive whole'
  exit 1
fi
IFS= read -r token || token=
{
  code=0
  printf '%s\\n' "$token" | sh "$work/install.sh" ${words.map(quoted).join(' ')} || code=$?
  say end "$code" "$(of hostId)"
} 2>&1 | {
  trap '' PIPE
  while IFS= read -r line; do printf '%s\\n' "$line" 2>/dev/null || :; done
}
`;

/** What makes {@link installScript} go on. @param token null: the host has an identity already */
export const goOn = (release: DeployedRelease, token: string | null): Buffer =>
  Buffer.concat([Buffer.from('go\n'), release.script, Buffer.from(`${token ?? ''}\n`)]);

/**
 * Keeps what was set up, where it waits for that: that this login came about is what it waits for. Behind one address there
 * may be several hosts, and what waits on another one is not for this login to keep.
 *
 * @param hostId of the host that was installed
 */
export const confirmScript = (hostId: string): string => `${HEAD}
if [ "$(of hostId)" != ${quoted(hostId)} ]; then say other; exit 0; fi
code=0
if [ -e /var/lib/identree/backup/unconfirmed.json ]; then identree setup --confirm 2>&1 || code=$?; fi
say end "$code" "$(of hostId)"
`;
