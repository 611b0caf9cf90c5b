import assert from 'node:assert/strict';
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { UntrustedFile } from '../state/trusted-file.ts';
import { ConfigError, loadClientConf, parseClientConf, parseDuration, withDefaults } from './client-conf.ts';

const parse = (text: string) => parseClientConf(text, 'client.conf');
const SERVER = 'IDENTREE_SERVER_URL=https://id.example.com\n';
const DAY_MS = 24 * 3_600_000;
const BREAK_GLASS = {
  enabled: true,
  file: '/etc/identree-breakglass',
  maximumAgeMs: 90 * DAY_MS,
  type: 'random',
  sealing: null,
  cost: 12,
};

describe('client.conf', () => {
  it('has defaults for all but the server', () => {
    assert.deepEqual(parse(SERVER), {
      serverUrls: ['https://id.example.com'],
      caCert: null,
      minimumClass: 'policy',
      timeoutMs: 900_000,
      noninteractive: 'refuse',
      offlineGrantMs: 3_600_000,
      contact: null,
      breakGlass: BREAK_GLASS,
      said: new Set(),
      unknown: [],
    });
  });

  it('reads comments, export, quotes and blanks', () => {
    const conf = parse(
      `# a comment\r\n\n export IDENTREE_SERVER_URL = "https://id.example.com:8443/base/"\nIDENTREE_CA_CERT='/etc/identree/ca.pem'\nIDENTREE_MINIMUM_CLASS=passkey\nIDENTREE_TIMEOUT=2m\n`,
    );
    assert.deepEqual(conf, {
      serverUrls: ['https://id.example.com:8443/base'],
      caCert: '/etc/identree/ca.pem',
      minimumClass: 'passkey',
      timeoutMs: 120_000,
      noninteractive: 'refuse',
      offlineGrantMs: 3_600_000,
      contact: null,
      breakGlass: BREAK_GLASS,
      said: new Set(['timeoutMs']),
      unknown: [],
    });
  });

  it('leaves the settings of earlier versions alone', () => {
    assert.equal(
      parse(`${SERVER}IDENTREE_POLL_INTERVAL=2s\nIDENTREE_SHARED_SECRET=x\n`).serverUrls[0],
      'https://id.example.com',
    );
  });

  it('takes any words for whom to call, as long as they stay on one line of a terminal', () => {
    const contactOf = (value: string) => parse(`${SERVER}IDENTREE_CONTACT=${value}\n`).contact;
    assert.equal(contactOf('"Operations, +49 89 1234 or #ops"'), 'Operations, +49 89 1234 or #ops');
    assert.equal(contactOf(' Bereitschaft: ß@example.com '), 'Bereitschaft: ß@example.com');
    assert.equal(contactOf('call\u001b[2J\u202e me\u0007'), 'call[2J me');
    assert.equal(contactOf(''), null);
    assert.equal(contactOf('é'.repeat(200)), 'é'.repeat(200));
    assert.throws(() => contactOf('é'.repeat(201)), /IDENTREE_CONTACT must not be longer than 200 characters/);
  });

  it('says how the break-glass password is made', () => {
    const conf = parse(
      `${SERVER}IDENTREE_BREAKGLASS_ENABLED=false\nIDENTREE_BREAKGLASS_FILE=/srv/hash\nIDENTREE_BREAKGLASS_ROTATION_DAYS=7\nIDENTREE_BREAKGLASS_PASSWORD_TYPE=passphrase\nIDENTREE_BREAKGLASS_BCRYPT_COST=14\n`,
    );
    const told = {
      enabled: false,
      file: '/srv/hash',
      maximumAgeMs: 7 * DAY_MS,
      type: 'passphrase',
      sealing: null,
      cost: 14,
    };
    assert.deepEqual(conf.breakGlass, told);
  });

  for (const [key, value] of [
    ['ENABLED', 'maybe'],
    ['FILE', 'hash'],
    ['ROTATION_DAYS', '0'],
    ['ROTATION_DAYS', '-1'],
    ['PASSWORD_TYPE', 'dice'],
    ['BCRYPT_COST', '9'],
    ['BCRYPT_COST', '31'],
  ]) {
    it(`refuses IDENTREE_BREAKGLASS_${key}=${value}`, () =>
      assert.throws(() => parse(`${SERVER}IDENTREE_BREAKGLASS_${key}=${value}\n`), new RegExp(`BREAKGLASS_${key}`)));
  }

  const ONE = `age1${'q'.repeat(58)}`;
  const OTHER = `age1${'p'.repeat(58)}`;
  it('names the people to whom the password is sealed', () => {
    const sealing = (lines: string) => parse(`${SERVER}${lines}`).breakGlass.sealing;
    assert.deepEqual(sealing(`IDENTREE_BREAKGLASS_RECIPIENTS=${ONE}, ${OTHER}\nIDENTREE_BREAKGLASS_THRESHOLD=2\n`), {
      recipients: [ONE, OTHER],
      threshold: 2,
    });
    assert.deepEqual(sealing(`IDENTREE_BREAKGLASS_RECIPIENTS=${ONE}\n`), { recipients: [ONE], threshold: 1 });
    assert.equal(sealing('IDENTREE_BREAKGLASS_RECIPIENTS=\n'), null);
  });

  for (const [what, lines] of [
    ['somebody who is none', 'RECIPIENTS=dana@example.com'],
    ['a secret key', `RECIPIENTS=AGE-SECRET-KEY-1${'Q'.repeat(58)}`],
    ['the same person twice', `RECIPIENTS=${ONE},${ONE}`],
    ['more than there are', `RECIPIENTS=${ONE}\nIDENTREE_BREAKGLASS_THRESHOLD=2`],
    ['none of them', `RECIPIENTS=${ONE}\nIDENTREE_BREAKGLASS_THRESHOLD=0`],
    ['a number of nobody', 'THRESHOLD=1'],
  ]) {
    it(`refuses to seal to ${what}`, () =>
      assert.throws(
        () => parse(`${SERVER}IDENTREE_BREAKGLASS_${lines}\n`),
        /IDENTREE_BREAKGLASS_(RECIPIENTS|THRESHOLD)/,
      ));
  }

  it('expands nothing', () => {
    process.env.IDENTREE_TEST_HOST = 'evil.example';
    assert.throws(
      () => parse('IDENTREE_SERVER_URL=https://$IDENTREE_TEST_HOST\nIDENTREE_CA_CERT=$HOME/ca\n'),
      /absolute path/,
    );
    delete process.env.IDENTREE_TEST_HOST;
  });

  it('ignores the environment', () => {
    process.env.IDENTREE_SERVER_URL = 'https://evil.example';
    assert.equal(parse(SERVER).serverUrls[0], 'https://id.example.com');
    assert.throws(() => parse(''), /IDENTREE_SERVER_URL is missing/);
    delete process.env.IDENTREE_SERVER_URL;
  });

  for (const url of [
    'http://localhost:8090',
    'http://127.0.0.1:1',
    'http://127.8.8.8',
    'http://[::1]:8090',
    'https://id.example.com',
  ]) {
    it(`accepts ${url}`, () => assert.doesNotThrow(() => parse(`IDENTREE_SERVER_URL=${url}`)));
  }
  for (const url of [
    'http://id.example.com',
    'http://10.0.0.1',
    'http://localhost.evil.example',
    'http://127.0.0.1.evil.example',
    'ftp://id.example.com',
    'https://user:pass@id.example.com',
    'https://id.example.com/?x',
    'https://id.example.com/#x',
    'id.example.com',
    'javascript:alert(1)',
    '//id.example.com',
    '',
  ]) {
    it(`[E-P15] refuses "${url}"`, () => assert.throws(() => parse(`IDENTREE_SERVER_URL=${url}`), ConfigError));
  }

  it('several servers are named in the order in which they are asked', () => {
    const urls = (value: string) => parse(`IDENTREE_SERVER_URL=${value}`).serverUrls;
    const three = ['https://id.example.com', 'https://id2.example.com:8443', 'http://127.0.0.1:8090'];
    assert.deepEqual(urls(`${three[0]}, ${three[1]}/ ,${three[2]}`), three);
    assert.deepEqual(urls(`"${three.join(' ')}"`), three);
    assert.throws(() => urls(`${three[0]},http://id2.example.com`), /must start with https/);
    assert.throws(() => urls(`${three[0]},${three[0]}/`), /names https:\/\/id\.example\.com twice/);
    const nine = Array.from({ length: 9 }, (_, n) => `https://id${n}.example.com`);
    assert.deepEqual(urls(nine.slice(1).join()), nine.slice(1));
    assert.throws(() => urls(nine.join()), /must not name more than 8 servers/);
    assert.throws(() => urls(' , '), /names no server/);
  });

  it('lists all problems at once', () => {
    try {
      parse('nonsense\nIDENTREE_MINIMUM_CLASS=none\nIDENTREE_TIMEOUT=1s\nIDENTREE_CA_CERT=ca.pem\n');
      assert.fail('accepted');
    } catch (error) {
      assert.ok(error instanceof ConfigError);
      for (const words of [
        'line 1',
        'IDENTREE_SERVER_URL',
        'IDENTREE_MINIMUM_CLASS',
        'IDENTREE_TIMEOUT',
        'IDENTREE_CA_CERT',
      ]) {
        assert.ok(error.message.includes(words), words);
      }
    }
  });

  it('a key that is set twice is not guessed at', () => {
    assert.throws(() => parse(`${SERVER}IDENTREE_SERVER_URL=https://other.example\n`), /set twice/);
  });

  it('what asks for a way in that this version does not have is refused by name', () => {
    assert.throws(() => parse(`${SERVER}IDENTREE_BREAKGLASS_NO_SUCH=true\n`), /IDENTREE_BREAKGLASS_NO_SUCH asks for/);
    assert.ok(parse(`${SERVER}IDENTREE_BREAKGLASS_NO_SUCH=\nIDENTREE_POLL_INTERVAL=2s\n`), 'others are left alone');
  });

  it('names that are none of ours are told, with the one that was probably meant', () => {
    const text = `${SERVER}IDENTREE_MINIMUM_CLAS=passkey\nIDENTREE_SHARED_SECRET=x\nLANG=C\n`;
    assert.deepEqual(parse(text).unknown, [
      { name: 'IDENTREE_MINIMUM_CLAS', meant: 'IDENTREE_MINIMUM_CLASS' },
      { name: 'IDENTREE_SHARED_SECRET', meant: null },
    ]);
    assert.deepEqual(parse(`${SERVER}IDENTREE_BREAKGLASS_RECIPIENTS=\nIDENTREE_BREAKGLASS_THRESHOLD=\n`).unknown, []);
  });

  it('the example and the page about hosts have every setting, and the example says what is built in', async () => {
    const text = (path: string) => readFile(join(import.meta.dirname, path), 'utf8');
    const names = (source: string, pattern: RegExp) =>
      [...new Set([...source.matchAll(pattern)].map(([, name]) => name))].sort();
    const known = names(await text('client-conf.ts'), /'(IDENTREE_[A-Z_]+[A-Z])'/g);
    const example = await text('../../packaging/client.conf.example');
    assert.deepEqual(names(example, /^#?(IDENTREE_\w+)=/gm), known);
    const [, table = ''] = /^## Settings of a host$([\s\S]*?)^## /m.exec(await text('../../../docs/hosts.md')) ?? [];
    const first = [...table.matchAll(/^\| (`.*?) \|/gm)].map(([, cell]) => cell).join();
    assert.deepEqual(names(first, /`(IDENTREE_\w+)`/g), known);
    const built = example.replace(/^#(?=IDENTREE_)(?!IDENTREE_(CA_CERT|CONTACT|BREAKGLASS_THRESHOLD)=)/gm, '');
    const { said, ...conf } = parse(built);
    const { said: _, ...defaults } = parse('IDENTREE_SERVER_URL=https://identree.example.com\n');
    assert.deepEqual(conf, defaults);
    assert.equal(said.size, 4);
  });

  it('an unknown class is refused, not taken for the weakest', () => {
    assert.throws(() => parse(`${SERVER}IDENTREE_MINIMUM_CLASS=Passkey\n`), ConfigError);
  });

  it('[W-24] from a file that others can write is refused, a missing one is explained', async () => {
    const dir = await mkdtemp(join(tmpdir(), 'identree-conf-'));
    const path = join(dir, 'client.conf');
    await assert.rejects(loadClientConf(path), /does not exist/);
    await writeFile(path, SERVER, { mode: 0o644 });
    assert.equal((await loadClientConf(path)).serverUrls[0], 'https://id.example.com');
    await chmod(path, 0o666);
    await assert.rejects(loadClientConf(path), UntrustedFile);
    await rm(dir, { recursive: true });
  });
});

describe('what the server tells beside client.conf', () => {
  const TOLD = {
    timeoutMs: 60_000,
    breakGlassEnabled: false,
    breakGlassPasswordType: 'passphrase',
    breakGlassRotationDays: 7,
  } as const;
  const counts = (lines: string) => {
    const { timeoutMs, breakGlass } = withDefaults(parse(`${SERVER}${lines}`), TOLD);
    return [timeoutMs, breakGlass.enabled, breakGlass.type, breakGlass.maximumAgeMs / DAY_MS];
  };

  it('counts where the file says nothing, and nothing else changes', () => {
    assert.deepEqual(counts(''), [60_000, false, 'passphrase', 7]);
    assert.deepEqual(counts('IDENTREE_TIMEOUT=\nIDENTREE_BREAKGLASS_ENABLED=\n'), [60_000, false, 'passphrase', 7]);
    const conf = parse(SERVER);
    const { timeoutMs: _t, breakGlass, ...others } = withDefaults(conf, TOLD);
    const { timeoutMs: _o, breakGlass: before, ...same } = conf;
    assert.deepEqual(others, same);
    assert.deepEqual(
      [breakGlass.file, breakGlass.cost, breakGlass.sealing],
      [before.file, before.cost, before.sealing],
    );
    assert.deepEqual(withDefaults(conf, {}), conf);
  });

  it('a server switches nothing off that the file says is on, and changes nothing else that it says', () => {
    assert.deepEqual(counts('IDENTREE_BREAKGLASS_ENABLED=true\n'), [60_000, true, 'passphrase', 7]);
    assert.deepEqual(counts('IDENTREE_TIMEOUT=15m\n'), [900_000, false, 'passphrase', 7]);
    assert.deepEqual(counts('IDENTREE_BREAKGLASS_PASSWORD_TYPE=random\n'), [60_000, false, 'random', 7]);
    assert.deepEqual(counts('IDENTREE_BREAKGLASS_ROTATION_DAYS=90\n'), [60_000, false, 'passphrase', 90]);
    assert.equal(
      withDefaults(parse(`${SERVER}IDENTREE_BREAKGLASS_ENABLED=false\n`), { breakGlassEnabled: true }).breakGlass
        .enabled,
      false,
    );
  });
});

describe('durations', () => {
  for (const [text, ms] of [
    ['90', 90_000],
    ['90s', 90_000],
    ['2m', 120_000],
    ['1h30m', 5_400_000],
    ['1.5m', 90_000],
    ['500ms', 500],
  ] as const) {
    it(`${text} is ${ms} ms`, () => assert.equal(parseDuration(text), ms));
  }
  for (const text of ['', 'x', '-1s', '1', '1d', '1 m', 's'].filter((value) => value !== '1'))
    it(`"${text}" is none`, () => assert.equal(parseDuration(text), null));
});
