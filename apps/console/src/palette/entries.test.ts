import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { CONSOLE_PAGES } from '#shared/console.ts';
import { PALETTE_GROUPS, type PaletteAct, paletteEntries } from './entries.ts';

const request = (number: number, more: object = {}) => ({
  userCode: `ABCDEF-00000${number}`,
  user: 'alice',
  command: `systemctl restart unit${number}`,
  createdAt: number,
  host: { name: 'web1.example.com' },
  ...more,
});

const about = (more: Partial<Parameters<typeof paletteEntries>[0]> = {}) => ({
  role: 'user' as const,
  waiting: [],
  servers: [],
  ...more,
});

const labels = (more: Parameters<typeof about>[0], search = '', locale: 'en' | 'de' = 'en') =>
  paletteEntries(about(more), search, locale).map(({ label }) => label);

/** A new kind of act without a line here does not compile, and none of them decides. */
const KINDS: Record<PaletteAct['do'], 'looks' | 'leaves'> = {
  'show-page': 'looks',
  'show-request': 'looks',
  'show-server': 'looks',
  'sign-out': 'leaves',
};

describe('the palette', () => {
  test('offers the pages that the person may open, and no others', () => {
    const titles = (role: 'user' | 'admin') => labels({ role }).slice(0, -1);
    assert.deepEqual(
      titles('admin'),
      CONSOLE_PAGES.map(({ title }) => title),
    );
    assert.deepEqual(
      titles('user'),
      CONSOLE_PAGES.filter(({ role }) => role === 'anyone').map(({ title }) => title),
    );
  });

  test('offers the newest five that wait, newest first; what could not be read leads nowhere', () => {
    const unreadable = { unreadable: true, id: 'x', errorId: 'y' } as const;
    const waiting = [1, 2, 3, 4, 5, 6].map((number) => request(number));
    const shown = paletteEntries(about({ waiting: [...waiting, unreadable] }), '', 'en');
    assert.deepEqual(
      shown.filter(({ group }) => group === 'requests').map(({ label }) => label),
      [6, 5, 4, 3, 2].map((number) => `systemctl restart unit${number}`),
    );
    assert.deepEqual(labels({ waiting }, 'unit1'), ['systemctl restart unit1'], 'the sixth is found by its words');
    assert.deepEqual(labels({ waiting: null }), labels({}));
  });

  test('finds words in any order and case, in what is called so, what it is about and its heading', () => {
    const waiting = [request(1), request(2, { user: 'bob', command: 'reboot' })];
    for (const search of ['UNIT1 systemctl', 'alice unit1', '  web1   restart ', 'abcdef-000001 alice'])
      assert.deepEqual(labels({ waiting }, search), ['systemctl restart unit1'], search);
    assert.deepEqual(labels({ waiting }, 'keys my'), ['My passkeys']);
    assert.deepEqual(labels({ waiting }, 'waiting requests bob'), ['reboot']);
    assert.deepEqual(labels({ waiting }, 'out sign'), ['Sign out']);
    assert.deepEqual(labels({ waiting }, 'nothing of the kind'), []);
  });

  test('offers the other servers as the menu names them, with their address where the name does not say it', () => {
    const servers = [
      { origin: 'https://lab.example.com', label: 'Laboratory (2)' },
      { origin: 'https://id.example.com:8443', label: 'id.example.com:8443' },
    ];
    const shown = paletteEntries(about({ servers }), 'servers', 'en');
    assert.deepEqual(
      shown.map(({ label, detail, act }) => [label, detail, act]),
      [
        ['Laboratory (2)', 'lab.example.com', { do: 'show-server', origin: 'https://lab.example.com' }],
        ['id.example.com:8443', null, { do: 'show-server', origin: 'https://id.example.com:8443' }],
      ],
    );
  });

  test('speaks German', () => {
    const waiting = [request(1)];
    assert.deepEqual(labels({}, 'abmelden', 'de'), ['Abmelden']);
    const [first] = paletteEntries(about({ waiting }), 'wartende', 'de');
    assert.equal(first?.detail, 'alice auf web1.example.com · ABCDEF-000001');
  });

  test('shows what a command hides', () => {
    const waiting = [request(1, { command: 'ls \u202egpj.exe\u0007', user: 'al\u200bice' })];
    const [first] = paletteEntries(about({ waiting }), '', 'en');
    assert.equal(first?.label, 'ls \\u{202e}gpj.exe\\x07');
    assert.match(first?.detail ?? '', /^al\\u\{200b\}ice on /);
  });

  test('has nothing that approves or denies, whatever is searched and whoever asks', () => {
    const waiting = [request(1, { command: 'approve' }), request(2, { command: 'deny', user: 'approve' })];
    for (const role of ['user', 'admin'] as const) {
      for (const search of ['', 'approve', 'deny', 'APPROVE', 'freigeben', 'ablehnen']) {
        for (const { act, group, id } of paletteEntries(about({ role, waiting }), search, 'en')) {
          assert.ok(Object.hasOwn(KINDS, act.do), act.do);
          assert.ok(PALETTE_GROUPS.includes(group));
          if (id.startsWith('request')) assert.deepEqual(Object.keys(act), ['do', 'code']);
        }
      }
    }
  });
});
