import { writeFile } from 'node:fs/promises';

const pad = (n: number): string => String(n).padStart(6, '0');
/** Ids take about as much room as those of an identity provider. */
const idOf = (kind: number, n: number): string => `${kind}0000000-0000-4000-8000-${String(n).padStart(12, '0')}`;
const claims = (of: Record<string, string>) => Object.entries(of).map(([key, value]) => ({ key, value }));

/**
 * Writes people and groups as PocketID exports them: so many people, a tenth as many groups of 20 of them, of which a
 * tenth come with a sudo rule; the same at every call. A program, so that its memory is not the server's.
 *
 *   people.ts FILE USERS CHANGED    of whom so many have got another name since
 */
async function writePeople(file: string, users: number, changed: number): Promise<void> {
  const people = Array.from({ length: users }, (_, n) => ({
    id: idOf(1, n),
    username: `u${pad(n)}`,
    firstName: n < changed ? 'Renamed' : 'User',
    lastName: `Number ${pad(n)}`,
    displayName: `${n < changed ? 'Renamed' : 'User'} Number ${pad(n)}`,
    email: `u${pad(n)}@example.com`,
    disabled: false,
    customClaims: [],
  }));
  const groups = Array.from({ length: Math.ceil(users / 10) }, (_, n) => ({
    id: idOf(2, n),
    name: `g${pad(n)}`,
    friendlyName: `Group ${n}`,
    customClaims:
      n % 10 === 0
        ? claims({
            sudoCommands: `/usr/bin/systemctl restart nginx, /usr/bin/tool${n}`,
            sudoHosts: n % 250 === 0 ? 'ALL' : `host${(n / 10) % 25}.example.com`,
          })
        : [],
    userIds: Array.from({ length: Math.min(20, users) }, (_, i) => idOf(1, (n * 10 + i) % users)),
  }));
  await writeFile(file, JSON.stringify({ users: people, groups }), { mode: 0o600 });
}

const [file = '', users, changed] = process.argv.slice(2);
await writePeople(file, Number(users), Number(changed));
