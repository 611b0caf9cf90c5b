import assert from 'node:assert/strict';
import { createCipheriv, createHmac, hkdfSync, randomBytes, randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, it, test } from 'node:test';
import { systemRandom } from '../../platform/random.ts';
import { installOpenBao, type OpenBao, startOpenBao } from '../../testing/openbao.ts';
import { type EscrowBackend, type EscrowEntry, EscrowFailure } from '../backend.ts';
import { type Http, type HttpRequest, systemHttp } from '../http.ts';
import { createBitwardenEscrow } from './bitwarden.ts';
import { createInfisicalEscrow } from './infisical.ts';
import { createLocalEscrow } from './local.ts';
import { createOnePasswordEscrow } from './one-password.ts';
import { createVaultEscrow } from './vault.ts';

// Before any test: it may take a while the first time.
const whyNoBao = await installOpenBao();

const entryOf = (hostname = 'web1.example.com'): EscrowEntry => ({ id: randomUUID(), hostId: randomUUID(), hostname });
const PASSWORD = 'correct-horse-battery-staple';

/** What holds for whoever keeps passwords. */
function keeps(make: () => EscrowBackend) {
  it('gives back what it was given', async () => {
    const backend = make();
    for (const password of [PASSWORD, 'x'.repeat(72), '!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~']) {
      const entry = entryOf();
      assert.equal(await backend.retrieve(entry, await backend.store(entry, password)), password);
    }
  });

  it('keeps a new password beside the one before, which opens its host until the new one does', async () => {
    const backend = make();
    const [first, second] = [entryOf(), entryOf()];
    const before = await backend.store({ ...first, hostId: second.hostId }, 'the password of before');
    const now = await backend.store(second, 'the password of now!!!');
    assert.equal(await backend.retrieve({ ...first, hostId: second.hostId }, before), 'the password of before');
    assert.equal(await backend.retrieve(second, now), 'the password of now!!!');
    await backend.remove({ ...first, hostId: second.hostId }, before);
    assert.equal(await backend.retrieve(second, now), 'the password of now!!!');
  });

  it('hosts whose names differ by a dot or a hyphen have passwords of their own', async () => {
    const backend = make();
    const names = ['a-b.example.com', 'a.b.example.com', 'a-b-example-com'];
    const kept = [];
    for (const name of names) {
      const entry = entryOf(name);
      kept.push({ entry, password: `password of ${name}`, where: await backend.store(entry, `password of ${name}`) });
    }
    for (const { entry, password, where } of kept) assert.equal(await backend.retrieve(entry, where), password);
  });

  it('may be given the same again, when its answer got lost', async () => {
    const backend = make();
    const entry = entryOf();
    await backend.store(entry, PASSWORD);
    assert.equal(await backend.retrieve(entry, await backend.store(entry, PASSWORD)), PASSWORD);
  });

  it('where it is says nothing of the password', async () => {
    const where = await make().store(entryOf(), PASSWORD);
    assert.ok(!JSON.stringify(where).includes(PASSWORD));
  });
}

describe('local', () => {
  const secret = randomBytes(32).toString('hex');
  const salt = randomBytes(32);
  const make = (change: Partial<Parameters<typeof createLocalEscrow>[0]> = {}) =>
    createLocalEscrow({ secret, previous: null, salt, random: systemRandom, ...change });

  keeps(make);

  it('another key, or another salt, opens nothing', async () => {
    const entry = entryOf();
    const where = await make().store(entry, PASSWORD);
    for (const other of [make({ secret: randomBytes(32).toString('hex') }), make({ salt: randomBytes(32) })]) {
      await assert.rejects(other.retrieve(entry, where), EscrowFailure);
    }
  });

  it('what was moved to another host, or changed by a bit, opens nothing', async () => {
    const entry = entryOf();
    const where = await make().store(entry, PASSWORD);
    await assert.rejects(make().retrieve({ ...entry, hostId: randomUUID() }, where), EscrowFailure);
    await assert.rejects(make().retrieve({ ...entry, id: randomUUID() }, where), EscrowFailure);
    const sealed = Buffer.from(where.sealed!, 'base64');
    for (let bit = 0; bit < sealed.length * 8; bit += 7) {
      const changed = Buffer.from(sealed);
      changed[bit >> 3]! ^= 1 << (bit & 7);
      await assert.rejects(make().retrieve(entry, { ...where, sealed: changed.toString('base64') }), EscrowFailure);
    }
    await assert.rejects(make().retrieve(entry, { ...where, sealed: sealed.subarray(0, 20).toString('base64') }));
  });

  it('the same password is never the same ciphertext', async () => {
    const entry = entryOf();
    const all = await Promise.all(Array.from({ length: 50 }, () => make().store(entry, PASSWORD)));
    assert.equal(new Set(all.map(({ sealed }) => sealed)).size, 50);
  });

  it('a new key opens what was encrypted with the one before, and encrypts it anew', async () => {
    const entry = entryOf();
    const where = await make({ salt: null }).store(entry, PASSWORD);
    const salted = make();
    const moved = salted.rewrap(entry, where);
    assert.ok(moved, 'a salt that came later makes another key');
    const next = make({ secret: randomBytes(32).toString('hex'), previous: secret });
    const again = next.rewrap(entry, moved);
    assert.ok(again);
    assert.equal(next.rewrap(entry, again), null);
    assert.equal(await next.retrieve(entry, again), PASSWORD);
    await assert.rejects(make().retrieve(entry, again), EscrowFailure);
  });

  it('is AES-256-GCM under HKDF-SHA256, as its page says', async () => {
    const entry = entryOf();
    const { sealed } = await make().store(entry, PASSWORD);
    const bytes = Buffer.from(sealed!, 'base64');
    const key = Buffer.from(hkdfSync('sha256', Buffer.from(secret), salt, 'identree-breakglass-v1', 32));
    const cipher = createCipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
    cipher.setAAD(Buffer.from(`${entry.hostId}\n${entry.id}`));
    const mine = Buffer.concat([cipher.update(PASSWORD), cipher.final(), cipher.getAuthTag()]);
    assert.deepEqual(bytes.subarray(12), mine);
  });
});

if (whyNoBao !== null) test('vault against a real OpenBao', { skip: whyNoBao }, () => undefined);
else
  describe('vault, against a real OpenBao', () => {
    let bao: OpenBao;
    before(async () => {
      bao = await startOpenBao();
    });
    after(() => bao.stop());
    const make = (change: Partial<Parameters<typeof createVaultEscrow>[0]> = {}) =>
      createVaultEscrow({
        url: bao.url,
        roleId: null,
        secret: bao.token,
        path: 'secret/identree/breakglass',
        http: systemHttp,
        ...change,
      });

    keeps(() => make());

    it('puts it where an operator looks for it, also with the address of the API as path', async () => {
      const entry = entryOf('db1.example.com');
      await make({ path: 'secret/data/identree/breakglass' }).store(entry, PASSWORD);
      const { body } = await bao.call('GET', 'secret/data/identree/breakglass/db1.example.com');
      assert.equal(body.data.data.password, PASSWORD);
    });

    it('removed is gone for good', async () => {
      const entry = entryOf('gone.example.com');
      const where = await make().store(entry, PASSWORD);
      await make().remove(entry, where);
      await assert.rejects(make().retrieve(entry, where), EscrowFailure);
      await make().remove(entry, where);
    });

    it('a secret that was deleted and made again by somebody is not taken for ours', async () => {
      const entry = entryOf('again.example.com');
      const where = await make().store(entry, PASSWORD);
      await bao.call('DELETE', 'secret/metadata/identree/breakglass/again.example.com');
      await make().store(entryOf('again.example.com'), 'another password, of later');
      await assert.rejects(make().retrieve(entry, where), /another password/);
    });

    it('comes in by AppRole, with no more than it needs', async () => {
      await bao.call('POST', 'sys/auth/approle', { type: 'approle' });
      const page = await readFile(join(import.meta.dirname, '../../../../docs/break-glass.md'), 'utf8');
      const policy = /```hcl\n([\s\S]*?)```/.exec(page)?.[1];
      assert.ok(policy, 'the page says what it needs');
      await bao.call('PUT', 'sys/policies/acl/identree', { policy });
      await bao.call('POST', 'auth/approle/role/identree', { token_policies: 'identree' });
      const role = await bao.call('GET', 'auth/approle/role/identree/role-id');
      const secret = await bao.call('POST', 'auth/approle/role/identree/secret-id', {});
      const own = make({ roleId: role.body.data.role_id, secret: secret.body.data.secret_id });
      const entry = entryOf('role.example.com');
      const where = await own.store(entry, PASSWORD);
      assert.equal(await own.retrieve(entry, where), PASSWORD);
      await own.remove(entry, where);
      await assert.rejects(make({ roleId: 'no-such-role', secret: 'x' }).store(entry, PASSWORD), EscrowFailure);
    });

    it('a token that is not accepted, and a vault that is away, are failures that say so', async () => {
      await assert.rejects(make({ secret: 'not-a-token' }).store(entryOf(), PASSWORD), /answers 403/);
      await assert.rejects(make({ url: 'http://127.0.0.1:1' }).store(entryOf(), PASSWORD), EscrowFailure);
    });
  });

// biome-ignore lint/suspicious/noExplicitAny: each service below knows what it is sent, and fails where it is something else
type Json = any;

/** Answers as a service does, and remembers what it was asked. */
function scripted(answer: (request: HttpRequest, json: Json) => { status: number; body?: unknown }) {
  const asked: HttpRequest[] = [];
  const http: Http = async (request) => {
    asked.push(request);
    const type = request.headers['content-type'] ?? '';
    const json = type === 'application/json' && request.body ? JSON.parse(request.body) : null;
    const { status, body } = answer(request, json);
    return { status, body: body === undefined ? '' : JSON.stringify(body) };
  };
  return { http, asked };
}

describe('1Password Connect', () => {
  const VAULT = 'abcdefghijklmnopqrstuvwxyz';
  function service() {
    const items = new Map<string, { title: string; fields: unknown[] }>();
    return scripted(({ method, url, headers }, json) => {
      if (headers.authorization !== 'Bearer the-token') return { status: 401 };
      const { pathname, searchParams } = new URL(url);
      if (pathname === '/v1/vaults') return { status: 200, body: [{ id: VAULT, name: 'Break Glass' }] };
      const [, item] = new RegExp(`^/v1/vaults/${VAULT}/items(?:/([^/]+))?$`).exec(pathname) ?? assert.fail(url);
      if (method === 'GET' && item === undefined) {
        const title = /^title eq "(.*)"$/.exec(searchParams.get('filter') ?? '')?.[1];
        return {
          status: 200,
          body: [...items].filter(([, one]) => one.title === title).map(([id, one]) => ({ id, title: one.title })),
        };
      }
      if (method === 'GET')
        return items.has(item!) ? { status: 200, body: { id: item, ...items.get(item!) } } : { status: 404 };
      if (method === 'DELETE') return { status: items.delete(item!) ? 204 : 404 };
      const id = item ?? `item${items.size}`;
      items.set(id, json);
      return { status: 200, body: { id, ...json } };
    });
  }
  const make = (http: Http, vault = VAULT) =>
    createOnePasswordEscrow({ url: 'https://connect.example.com', token: 'the-token', vault, http });

  keeps(() => make(service().http));

  it('asks exactly this', async () => {
    const { http, asked } = service();
    const entry = { ...entryOf(), id: '5c7bb2bb-2f4a-4c57-9d61-0dbb40f5e1a9' };
    const where = await make(http, 'break glass').store(entry, PASSWORD);
    assert.deepEqual(where, { vault: VAULT, item: 'item0' });
    assert.deepEqual(
      asked.map(({ method, url, body }) => [method, url, body && JSON.parse(body)]),
      [
        ['GET', 'https://connect.example.com/v1/vaults', undefined],
        [
          'GET',
          `https://connect.example.com/v1/vaults/${VAULT}/items?filter=${encodeURIComponent('title eq "breakglass-web1.example.com 5c7bb2bb"')}`,
          undefined,
        ],
        [
          'POST',
          `https://connect.example.com/v1/vaults/${VAULT}/items`,
          {
            vault: { id: VAULT },
            title: 'breakglass-web1.example.com 5c7bb2bb',
            category: 'LOGIN',
            fields: [{ id: 'password', type: 'CONCEALED', purpose: 'PASSWORD', label: 'password', value: PASSWORD }],
          },
        ],
      ],
    );
  });

  it('a vault that it does not know is a failure', async () => {
    await assert.rejects(make(service().http, 'elsewhere').store(entryOf(), PASSWORD), /knows no vault/);
  });
});

describe('Infisical', () => {
  function service() {
    const secrets = new Map<string, string>();
    return scripted(({ method, url, headers }, json) => {
      const { pathname, searchParams } = new URL(url);
      if (pathname === '/api/v1/auth/universal-auth/login') {
        const known = json.clientId === 'the-client' && json.clientSecret === 'the-secret';
        return known ? { status: 200, body: { accessToken: 'the-token' } } : { status: 401 };
      }
      if (headers.authorization !== 'Bearer the-token') return { status: 401 };
      const name = /^\/api\/v3\/secrets\/raw\/([A-Z0-9_]+)$/.exec(pathname)?.[1] ?? assert.fail(url);
      const place = method === 'GET' ? Object.fromEntries(searchParams) : json;
      assert.deepEqual([place.workspaceId, place.environment, place.secretPath], ['the-workspace', 'dev', '/']);
      if (method === 'GET')
        return secrets.has(name)
          ? { status: 200, body: { secret: { secretValue: secrets.get(name) } } }
          : { status: 404 };
      if (method === 'DELETE') return { status: secrets.delete(name) ? 200 : 404 };
      if (method === 'PATCH' && !secrets.has(name)) return { status: 404 };
      secrets.set(name, json.secretValue);
      return { status: 200, body: {} };
    });
  }
  const make = (http: Http) =>
    createInfisicalEscrow({
      url: 'https://infisical.example.com',
      clientId: 'the-client',
      clientSecret: 'the-secret',
      path: 'the-workspace/dev',
      http,
    });

  keeps(() => make(service().http));

  it('asks exactly this', async () => {
    const { http, asked } = service();
    await make(http).store({ ...entryOf('a-b.example.com'), id: '5c7bb2bb-2f4a-4c57-9d61-0dbb40f5e1a9' }, PASSWORD);
    const url = 'https://infisical.example.com/api/v3/secrets/raw/BREAKGLASS_A_B_EXAMPLE_COM_5C7BB2BB';
    const json = { workspaceId: 'the-workspace', environment: 'dev', secretPath: '/', secretValue: PASSWORD };
    assert.deepEqual(
      asked.map((request) => [request.method, request.url, JSON.parse(request.body!)]),
      [
        [
          'POST',
          'https://infisical.example.com/api/v1/auth/universal-auth/login',
          { clientId: 'the-client', clientSecret: 'the-secret' },
        ],
        ['PATCH', url, json],
        ['POST', url, json],
      ],
    );
  });
});

describe('Bitwarden Secrets Manager', () => {
  const seed = randomBytes(16);
  const organizationKey = randomBytes(64);
  const TOKEN = `0.the-client.the-secret:${seed.toString('base64')}`;

  /** An encrypted string of Bitwarden, made here from its own description. */
  function encrypted(text: string, keys: Buffer): string {
    const iv = randomBytes(16);
    const cipher = createCipheriv('aes-256-cbc', keys.subarray(0, 32), iv);
    const data = Buffer.concat([cipher.update(text), cipher.final()]);
    const mac = createHmac('sha256', keys.subarray(32))
      .update(Buffer.concat([iv, data]))
      .digest();
    return `2.${iv.toString('base64')}|${data.toString('base64')}|${mac.toString('base64')}`;
  }

  function service() {
    const secrets = new Map<string, { key: string; value: string; note: string; projectIds: string[] }>();
    const made = scripted(({ method, url, headers, body }, json) => {
      const { pathname } = new URL(url);
      if (url === 'https://identity.bitwarden.com/connect/token') {
        assert.equal(
          body,
          'grant_type=client_credentials&scope=api.secrets&client_id=the-client&client_secret=the-secret',
        );
        // HMAC-SHA256 with the purpose as key, then the expansion of HKDF.
        const prk = createHmac('sha256', 'bitwarden-accesstoken').update(seed).digest();
        const one = createHmac('sha256', prk)
          .update('sm-access-token')
          .update(Buffer.from([1]))
          .digest();
        const two = createHmac('sha256', prk)
          .update(one)
          .update('sm-access-token')
          .update(Buffer.from([2]))
          .digest();
        const payload = JSON.stringify({ encryptionKey: organizationKey.toString('base64') });
        return {
          status: 200,
          body: { access_token: 'the-token', encrypted_payload: encrypted(payload, Buffer.concat([one, two])) },
        };
      }
      if (headers.authorization !== 'Bearer the-token') return { status: 401 };
      if (method === 'POST' && pathname === '/organizations/the-organization/secrets') {
        const id = `secret${secrets.size}`;
        secrets.set(id, json);
        return { status: 200, body: { id, ...json } };
      }
      if (method === 'POST' && pathname === '/secrets/delete') {
        for (const id of json) secrets.delete(id);
        return { status: 200, body: {} };
      }
      const id = /^\/secrets\/(.+)$/.exec(pathname)?.[1] ?? assert.fail(url);
      return secrets.has(id) ? { status: 200, body: { id, ...secrets.get(id) } } : { status: 404 };
    });
    return { ...made, secrets };
  }
  const make = (http: Http, accessToken = TOKEN) =>
    createBitwardenEscrow({
      url: 'https://api.bitwarden.com',
      accessToken,
      path: 'the-organization/the-project',
      http,
      random: systemRandom,
    });

  keeps(() => make(service().http));

  it('sends nothing that it has not encrypted', async () => {
    const { http, asked, secrets } = service();
    await make(http).store(entryOf(), PASSWORD);
    assert.ok(!JSON.stringify(asked).includes(PASSWORD) && !JSON.stringify(asked).includes('web1'));
    const [secret] = secrets.values();
    for (const part of [secret!.key, secret!.value, secret!.note]) assert.match(part, /^2\.[^|]{24}\|[^|]+\|[^|]{44}$/);
    assert.deepEqual(secret!.projectIds, ['the-project']);
  });

  it('what was not encrypted for this organization is a failure', async () => {
    const { http, secrets } = service();
    const entry = entryOf();
    const where = await make(http).store(entry, PASSWORD);
    secrets.get(where.secret!)!.value = encrypted('planted', randomBytes(64));
    await assert.rejects(make(http).retrieve(entry, where), EscrowFailure);
  });

  it('something else than an access token is refused at once', () => {
    assert.throws(() => make(service().http, 'a-password'), /no access token of Bitwarden/);
  });
});
