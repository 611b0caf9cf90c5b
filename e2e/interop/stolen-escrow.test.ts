import assert from 'node:assert/strict';
import { createDecipheriv, createPrivateKey, hkdfSync, randomBytes, webcrypto } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { armor, Decrypter } from 'age-encryption';
import BetterSqlite from 'better-sqlite3';
import { combine } from 'shamir-secret-sharing';
import { openHost } from '../../agent/src/app.ts';
import { type RotateDeps, rotate } from '../../agent/src/break-glass/rotate.ts';
import { seal } from '../../agent/src/break-glass/sealing.ts';
import { readShare, type Share } from '../../agent/src/break-glass/shares.ts';
import { createTransport } from '../../agent/src/client/transport.ts';
import { loadClientConf } from '../../agent/src/config/client-conf.ts';
import { enrol } from '../../agent/src/enrol/enrol.ts';
import { stateFiles } from '../../agent/src/paths.ts';
import { systemClock } from '../../agent/src/platform/clock.ts';
import { silentLog } from '../../agent/src/platform/log.ts';
import { systemRandom } from '../../agent/src/platform/random.ts';
import { ageIdentity } from '../../agent/src/testing/age.ts';
import { createHostFolders } from '../../agent/src/testing/host.ts';
import { type App, createApp } from '../../server/src/app/app.ts';
import { installOpenBao, type OpenBao, startOpenBao } from '../../server/src/testing/openbao.ts';
import { runOn } from '../../server/src/testing/run-command.ts';
import { testConfig } from '../../server/src/testing/test-config.ts';
import { createTestProvider } from '../../server/src/testing/test-person.ts';

/**
 * A thief has the server with all of its secrets, its database, whoever keeps the passwords, and what went over the wires
 * from the first day on. Of the break-glass passwords of a hundred hosts that are sealed to people, that gives none.
 */

const HOSTS = 100;
const whyNoBao = await installOpenBao();

/** Keys of the people to whom passwords are sealed in one way, and the passwords, which no thief has. */
interface Sealed {
  backend: 'local' | 'vault';
  /** How many of them it takes; 0: nobody is named, and the server may read it. */
  threshold: 0 | 1 | 2;
  people: Awaited<ReturnType<typeof ageIdentity>>[];
  passwords: string[];
}

type Enrolled = {
  host: Awaited<ReturnType<typeof openHost>>;
  paths: Awaited<ReturnType<typeof createHostFolders>>['paths'];
};

const ends: (() => unknown)[] = [];
const atTheEnd = (end: () => unknown): void => void ends.unshift(end);
after(async () => {
  for (const end of ends) await end();
});

/** Everything that went to and fro. */
const wire: string[] = [];

/** A server on loopback that answers as `answer` says, and lets nothing pass that is not written down. */
async function tapped(
  answer: (request: { method: string; url: string; headers: Record<string, string>; body: Buffer }) => Promise<{
    status: number;
    headers: Record<string, string>;
    body: string;
  }>,
): Promise<string> {
  const front = createServer(async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { method = '', url = '' } = request;
    const body = Buffer.concat(chunks);
    const headers = request.headers as Record<string, string>;
    const answered = await answer({ method, url, headers, body });
    wire.push(JSON.stringify([method, url, headers, answered.headers]), body.toString('latin1'), answered.body);
    response.writeHead(answered.status, { 'content-type': answered.headers['content-type'] ?? 'application/json' });
    response.end(answered.body);
  }).listen(0, '127.0.0.1');
  // A host says nothing while the others have their turn.
  front.keepAliveTimeout = 300_000;
  await once(front, 'listening');
  atTheEnd(() => {
    front.closeAllConnections();
    front.close();
  });
  return `http://localhost:${(front.address() as AddressInfo).port}`;
}

describe('break-glass passwords that are sealed to people', { skip: whyNoBao ?? false, timeout: 280_000 }, () => {
  let folder: string;
  let url: string;
  let bao: OpenBao;
  let settings: Record<string, string>;
  let app: App;
  const hosts: Enrolled[] = [];
  const ways: Sealed[] = [];

  const configOf = (backend: Sealed['backend']) =>
    testConfig(folder, { ...settings, IDENTREE_EXTERNAL_URL: url, IDENTREE_ESCROW_BACKEND: backend });

  /** Every host makes another password, seals it and hands it over. */
  async function seals(backend: Sealed['backend'], threshold: Sealed['threshold']): Promise<void> {
    await app.close();
    app = await createApp(configOf(backend), { provider: createTestProvider() });
    const people = threshold === 0 ? [] : await Promise.all([1, 2, 3].map(ageIdentity));
    const passwords: string[] = [];
    for (const { host, paths } of hosts) {
      const before = (await readFile(paths.config, 'utf8')).replace(
        /^IDENTREE_BREAKGLASS_(?:RECIPIENTS|THRESHOLD).*\n/gm,
        '',
      );
      const recipients = people.map(({ recipient }) => recipient).join(',');
      const named = `IDENTREE_BREAKGLASS_RECIPIENTS=${recipients}\nIDENTREE_BREAKGLASS_THRESHOLD=${threshold}\n`;
      await writeFile(paths.config, before + (threshold === 0 ? '' : named));
      const deps: RotateDeps = {
        client: host.client,
        conf: (await loadClientConf(paths.config)).breakGlass,
        hostname: host.enrolment.identity.hostname,
        journal: host.journal,
        lock: stateFiles(paths.state).breakGlassRotationLock,
        // What the host itself knows, for the comparison. bcrypt takes its time, and has nothing to do with it.
        async hash(password) {
          passwords.push(Buffer.from(password).toString('latin1'));
          return `$2b$10$${'a'.repeat(53)}`;
        },
        isPassword: async () => true,
        seal,
        clock: systemClock,
        random: systemRandom,
      };
      const rotation = await rotate(deps, { force: true, mayShow: false, local: false });
      assert.equal(rotation.kind, 'rotated', JSON.stringify(rotation));
    }
    assert.equal(new Set(passwords).size, HOSTS);
    ways.push({ backend, threshold, people, passwords });
  }

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'identree-stolen-escrow-'));
    atTheEnd(() => rm(folder, { recursive: true, force: true }));
    bao = await startOpenBao();
    atTheEnd(() => bao.stop());
    const keeper = await tapped(async ({ method, url, headers, body }) => {
      const { host: _, connection: _c, 'content-length': _l, 'transfer-encoding': _t, ...passed } = headers;
      const answer = await fetch(`${bao.url}${url}`, { method, headers: passed, ...(body.length > 0 ? { body } : {}) });
      return { status: answer.status, headers: {}, body: await answer.text() };
    });
    url = await tapped(async ({ method, url, headers, body }) => {
      const answer = await app.http.inject({ method: method as 'GET', url, headers, payload: body });
      return { status: answer.statusCode, headers: answer.headers as Record<string, string>, body: answer.body };
    });
    settings = {
      IDENTREE_ESCROW_ENCRYPTION_KEY: randomBytes(32).toString('hex'),
      IDENTREE_ESCROW_HKDF_SALT: randomBytes(32).toString('hex'),
      IDENTREE_ESCROW_URL: keeper,
      IDENTREE_ESCROW_PATH: 'secret/identree/breakglass',
      IDENTREE_ESCROW_AUTH_SECRET: bao.token,
    };
    app = await createApp(configOf('local'), { provider: createTestProvider() });
    atTheEnd(() => app.close());
    for (let n = 0; n < HOSTS; n += 1) {
      const hostname = `web${n}.example.com`;
      const folders = await createHostFolders(url);
      atTheEnd(folders.remove);
      const transport = createTransport({ serverUrl: url, ca: null });
      const { token } = await app.hosts.createToken(hostname, 'olga', null);
      const { paths } = folders;
      const enrolled = await enrol(
        { transport, clock: systemClock, random: systemRandom },
        { credential: { token }, serverUrl: url, hostname, state: paths.state, replace: false },
      );
      transport.close();
      assert.ok(enrolled.ok, JSON.stringify(enrolled));
      const host = await openHost(paths, { log: silentLog });
      atTheEnd(() => host.close());
      hosts.push({ host, paths });
    }
    await seals('local', 0);
    for (const backend of ['local', 'vault'] as const)
      for (const threshold of [2, 1] as const) await seals(backend, threshold);
  });

  /** All that the thief carries away: each text as it was found. */
  async function loot() {
    const database = new BetterSqlite(join(folder, 'identree.db'), { readonly: true });
    const tables = database.prepare(`select name from sqlite_master where type = 'table'`).pluck().all() as string[];
    const texts = tables.flatMap((table) =>
      (database.prepare(`select * from "${table}"`).all() as object[]).flatMap((row) =>
        Object.values(row).map((value) => (Buffer.isBuffer(value) ? value.toString('latin1') : String(value))),
      ),
    );
    const kept = database.prepare('select host_id, id, location from escrow_records').all();
    const rows = kept as { host_id: string; id: string; location: string }[];
    database.close();
    for (const file of ['identree.db', 'identree.db-wal'])
      texts.push(await readFile(join(folder, file), 'latin1').catch(() => ''));
    const { body } = await bao.call('LIST', 'secret/metadata/identree/breakglass');
    assert.equal(body.data.keys.length, HOSTS);
    for (const name of body.data.keys as string[]) {
      const { body: about } = await bao.call('GET', `secret/metadata/identree/breakglass/${name}`);
      texts.push(JSON.stringify(about));
      for (const version of Object.keys(about.data.versions)) {
        const answer = await bao.call('GET', `secret/data/identree/breakglass/${name}?version=${version}`);
        texts.push(JSON.stringify(answer.body));
      }
    }
    texts.push(JSON.stringify(configOf('vault')), ...Object.values(settings));
    const keys = join(folder, 'keys');
    const files = await Promise.all((await readdir(keys)).map((file) => readFile(join(keys, file), 'utf8')));
    texts.push(...files);
    // As whoever has the machine of the server is shown the newest.
    const env = { ...settings, IDENTREE_ESCROW_BACKEND: 'vault' };
    const words = ['reveal-breakglass', 'web0.example.com', '--reason', 'I am a thief'];
    const shown = await runOn(words, configOf('vault'), env);
    assert.equal(shown.code, 0, shown.err);
    texts.push(shown.out, shown.err);
    return { texts: [...texts, ...wire], rows, files };
  }

  /** What can be read out of texts by whoever only has to know how things are written down: JSON, hexadecimal, base64. */
  function unpacked(texts: readonly string[]): Set<string> {
    const found = new Set<string>();
    const walk = (value: unknown): void => {
      if (typeof value === 'string') take(value);
      else if (typeof value === 'object' && value !== null) {
        for (const [name, inner] of Object.entries(value)) {
          take(name);
          walk(inner);
        }
      }
    };
    const take = (text: string): void => {
      if (text === '' || found.has(text)) return;
      found.add(text);
      if (/^\s*[[{"]/.test(text)) {
        try {
          walk(JSON.parse(text));
        } catch {
          // It only looks like JSON.
        }
      }
      for (const word of text.match(/[A-Za-z0-9+/_-]{20,}={0,2}/g) ?? []) {
        if (word !== text) take(word);
        if (text.length > 1_000_000) continue;
        take(Buffer.from(word, 'base64').toString('latin1'));
        if (/^(?:[0-9a-f]{2})+$/.test(word)) take(Buffer.from(word, 'hex').toString('latin1'));
      }
    };
    for (const text of texts) take(text);
    return found;
  }

  /** Secrets of the server that may be keys, being 32 bytes long, and the keys that are made of them as the server does. */
  function keysOf(files: readonly string[]): { secrets: Buffer[]; derived: Buffer[] } {
    const bytes = Object.values(settings).flatMap((text) => [
      Buffer.from(text),
      ...(/^(?:[0-9a-f]{2})+$/.test(text) ? [Buffer.from(text, 'hex')] : []),
    ]);
    for (const text of files) {
      if (text.includes('PRIVATE KEY'))
        bytes.push(Buffer.from(createPrivateKey(text).export({ format: 'jwk' }).d!, 'base64url'));
      else bytes.push(Buffer.from(text.trim(), 'base64url'));
    }
    const salts = [...bytes, Buffer.from('identree-escrow-salt-v1'), Buffer.alloc(0)];
    return {
      secrets: bytes.filter(({ length }) => length === 32),
      derived: bytes.flatMap((secret) =>
        salts.map((salt) => Buffer.from(hkdfSync('sha256', secret, salt, 'identree-breakglass-v1', 32))),
      ),
    };
  }

  /** AES-256-GCM as the server writes it. */
  function decrypted(sealed: Buffer, key: Buffer, belongsTo: string): string | null {
    try {
      const decipher = createDecipheriv('aes-256-gcm', key, sealed.subarray(0, 12), { authTagLength: 16 });
      decipher.setAAD(Buffer.from(belongsTo)).setAuthTag(sealed.subarray(-16));
      return Buffer.concat([decipher.update(sealed.subarray(12, -16)), decipher.final()]).toString('latin1');
    } catch {
      return null;
    }
  }

  /** A key of the server, as if somebody had used it for X25519 too. */
  const asIdentity = (key: Buffer): Promise<webcrypto.CryptoKey> => {
    const pkcs8 = Buffer.concat([Buffer.from('302e020100300506032b656e04220420', 'hex'), key]);
    return webcrypto.subtle.importKey('pkcs8', pkcs8, 'X25519', false, ['deriveBits']) as Promise<webcrypto.CryptoKey>;
  };

  async function opened(
    parts: readonly string[],
    identities: readonly (string | webcrypto.CryptoKey)[],
  ): Promise<string[]> {
    if (identities.length === 0) return [];
    const found: string[] = [];
    for (const part of parts) {
      // Each part is for one person: with all keys at once it is tried with each.
      const decrypter = new Decrypter();
      for (const identity of identities) decrypter.addIdentity(identity);
      const text = await decrypter.decrypt(armor.decode(part), 'text').catch(() => null);
      if (text !== null) found.push(text);
    }
    return found;
  }

  /** Shares by themselves, and put together with each other, whatever they say of how many it takes and of which password. */
  async function combined(texts: readonly string[]): Promise<string[]> {
    const shares: Share[] = texts.flatMap((text) => {
      try {
        return [readShare(text)];
      } catch {
        return [];
      }
    });
    const found = shares.map(({ share }) => Buffer.from(share).toString('latin1'));
    for (const [n, one] of shares.entries()) {
      for (const other of shares.slice(n + 1)) {
        const secret = await combine([one.share, other.share].map((share) => Uint8Array.from(share))).catch(() => null);
        if (secret !== null) found.push(Buffer.from(secret).toString('latin1'));
      }
    }
    return found;
  }

  let looted: { texts: Set<string>; parts: string[] } | null = null;
  /** What the thief has before asking anybody for a key, with everything decrypted that keys of the server decrypt. */
  async function ransacked() {
    if (looted !== null) return looted;
    const { texts, rows, files } = await loot();
    assert.equal(rows.length, ways.length * HOSTS);
    let known = unpacked(texts);
    const { secrets, derived } = keysOf(files);
    assert.equal(
      secrets.length,
      7,
      'of escrow two, and five of the server: its CA, trust root, verdicts, log and storage',
    );
    const keys = [...secrets, ...derived];
    const plain: string[] = [];
    for (const { host_id, id, location } of rows) {
      const sealed = Buffer.from(JSON.parse(location).sealed ?? '', 'base64');
      if (sealed.length > 28)
        plain.push(...keys.flatMap((key) => ['', `${host_id}\n${id}`].map((of) => decrypted(sealed, key, of) ?? '')));
    }
    const layers = plain.filter((text) => text !== '');
    assert.equal(layers.length, 3 * HOSTS, 'of what the server keeps itself the first layer comes off');
    known = unpacked([...known, ...layers]);
    const parts = new Set<string>();
    for (const text of known)
      for (const part of text.match(
        /-----BEGIN AGE ENCRYPTED FILE-----\n[\w+/=\n]+-----END AGE ENCRYPTED FILE-----\n?/g,
      ) ?? [])
        parts.add(part.trim());
    const identities = await Promise.all(secrets.map(asIdentity));
    for (const text of await opened([...parts], identities)) known.add(text);
    looted = { texts: known, parts: [...parts] };
    return looted;
  }

  /** How many of these passwords a thief knows who has the keys of so many of the people as well. */
  async function stolen({ people, passwords }: Sealed, keys: number): Promise<number> {
    const { texts, parts } = await ransacked();
    const read = await opened(
      parts,
      people.slice(0, keys).map(({ identity }) => identity),
    );
    const all = [...texts, ...read, ...(await combined(read))].join('\0');
    return passwords.filter((password) => all.includes(password)).length;
  }

  const wayOf = (backend: string, threshold: number): Sealed =>
    ways.find((way) => way.backend === backend && way.threshold === threshold)!;

  test(`this thief has all ${HOSTS} that are sealed to nobody`, async () => {
    assert.equal(await stolen(wayOf('local', 0), 0), HOSTS);
  });

  for (const backend of ['local', 'vault'] as const) {
    test(`kept by ${backend}, for two of three people: server, database, keeper, wires and one of them give 0 of ${HOSTS}`, async () => {
      const way = wayOf(backend, 2);
      assert.equal(await stolen(way, 0), 0);
      assert.equal(await stolen(way, 1), 0);
      assert.equal(await stolen(way, 2), HOSTS, 'two of them open every host');
      assert.equal((await ransacked()).parts.length, 4 * 3 * HOSTS, 'the thief had every part that there is');
    });

    test(`kept by ${backend}, for any one of three people: everything but their keys gives 0 of ${HOSTS}`, async () => {
      const way = wayOf(backend, 1);
      assert.equal(await stolen(way, 0), 0);
      assert.equal(await stolen(way, 1), HOSTS, 'one of them opens every host');
    });
  }
});
