import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { qrCode } from './qr.ts';
import { createVoice, type Screen, wrap } from './terminal-text.ts';

const ANSWER: ChallengeAnswer = {
  challengeId: 'a'.repeat(32),
  userCode: 'ABCDEF-123456',
  status: 'pending',
  approvalUrl: 'https://id.example.com/approve/ABCDEF-123456',
  expiresAt: 120_000,
  now: 0,
  approvers: ['self', 'admins'],
  verdict: null,
  approverKeys: null,
};
const SCREEN: Screen = { cols: 80, rows: 24, term: 'xterm-256color', locale: '' };

function shown(screen: Screen, answer = ANSWER, login = false): string[] {
  const lines: string[] = [];
  const voice = createVoice((line) => lines.push(line), screen);
  voice.request(answer, {
    server: 'id.example.com',
    leftMs: 120_000,
    argv: login ? null : ['sudo', 'systemctl', 'restart', 'nginx'],
  });
  voice.sentence(login ? 'gate.pressEnter' : 'gate.waiting');
  return lines;
}

/** Columns that a line takes, colours aside. */
const width = (line: string) => [...line.replace(/\u001b\[[0-9;]*m/g, '')].length;

describe('what a waiting person sees', () => {
  it('on 80x24: everything at once, the code to scan included', () => {
    const lines = shown(SCREEN);
    assert.ok(lines.length < 24, `${lines.length} lines leave room for the command line`);
    for (const line of lines) assert.ok(width(line) <= 79, line);
    const text = lines.join('\n');
    for (const words of [
      'id.example.com is asked',
      'you or an administrator',
      ANSWER.approvalUrl,
      'Code: ABCDEF-123456',
      'Time left: 2 min',
      'Ctrl-C',
    ]) {
      assert.ok(text.includes(words), words);
    }
    assert.match(text, /[▀▄█]/);
    assert.ok(
      lines.findIndex((line) => line.includes('Ctrl-C')) > lines.findLastIndex((line) => /[▀▄█]/.test(line)),
      'the instruction stays at the end',
    );
  });

  it('on 40 columns: sentences wrap, the link stays whole, no code to scan', () => {
    const lines = shown({ ...SCREEN, cols: 40 });
    for (const line of lines) if (!line.includes('https://')) assert.ok(width(line) <= 39, line);
    assert.equal(lines.filter((line) => line.trim() === ANSWER.approvalUrl).length, 1);
    assert.doesNotMatch(lines.join(''), /[▀▄█]/);
  });

  it('without a terminal: plain text', () => {
    const text = shown({ cols: null, rows: null, term: '', locale: '' }).join('\n');
    assert.doesNotMatch(text, /[▀▄█\u001b]/);
    assert.match(text, /ABCDEF-123456/);
  });

  it('each line is indented by two or empty', () => {
    for (const line of shown(SCREEN)) assert.match(line, /^( {2}|$)/);
  });

  it('in German', () => {
    const text = shown({ ...SCREEN, term: '', locale: 'de_DE.UTF-8' }).join('\n');
    assert.match(text, /Freigeben kann: Sie selbst oder die Administration\./);
    assert.match(text, /Noch: 2 min/);
    assert.doesNotMatch(text, /Time left|Waiting/);
  });

  it('what the server sends cannot leave its place', () => {
    const hostile = '\u001b]0;owned\u0007\nroot# \u202eexe\r';
    const lines = shown(
      { ...SCREEN, cols: 40 },
      { ...ANSWER, approvalUrl: `https://x/${hostile}`, userCode: `AB${hostile}` },
    );
    for (const line of lines) assert.doesNotMatch(line, /[\u0000-\u001f\u007f\u202e]/, JSON.stringify(line));
  });

  it('a login says login', () => {
    const text = shown({ ...SCREEN, cols: null, rows: null }, ANSWER, true)
      .join(' ')
      .replace(/\s+/g, ' ');
    assert.match(text, /asked to approve this login/);
    assert.match(text, /then press Enter here/);
  });
});

describe('line by line', () => {
  const link = 'https://identree.example.com/approve/ABCDEF-123456';
  const cases: [widths: number[], locale: string, expected: string[]][] = [
    [
      [20],
      'en_US.UTF-8',
      [
        '',
        '  identree.example.com',
        '  is asked to',
        '  approve: sudo',
        '  systemctl restart',
        '  nginx',
        '  Who can approve:',
        '  you or an',
        '  administrator.',
        '',
        '   https://identree.example.com/approve/ABCDEF-123456',
        '',
        '  Code:',
        '  ABCDEF-123456',
        '  Time left: 2 min',
        '',
        '  Waiting for the',
        '  answer. Ctrl-C',
        '  cancels.',
      ],
    ],
    [
      [40],
      'en_US.UTF-8',
      [
        '',
        '  identree.example.com is asked to',
        '  approve: sudo systemctl restart nginx',
        '  Who can approve: you or an',
        '  administrator.',
        '',
        '   https://identree.example.com/approve/ABCDEF-123456',
        '',
        '  Code: ABCDEF-123456',
        '  Time left: 2 min',
        '',
        '  Waiting for the answer. Ctrl-C',
        '  cancels.',
      ],
    ],
    [
      [80, 200],
      'en_US.UTF-8',
      [
        '',
        '  identree.example.com is asked to approve: sudo systemctl restart nginx',
        '  Who can approve: you or an administrator.',
        '',
        '  https://identree.example.com/approve/ABCDEF-123456',
        '',
        '  Code: ABCDEF-123456    Time left: 2 min',
        '',
        '  Waiting for the answer. Ctrl-C cancels.',
      ],
    ],
    [
      [20],
      'de_DE.UTF-8',
      [
        '',
        '  identree.example.com',
        '  wird um Freigabe',
        '  gebeten: sudo',
        '  systemctl restart',
        '  nginx',
        '  Freigeben kann:',
        '  Sie selbst oder',
        '  die',
        '  Administration.',
        '',
        '   https://identree.example.com/approve/ABCDEF-123456',
        '',
        '  Code:',
        '  ABCDEF-123456',
        '  Noch: 2 min',
        '',
        '  Warte auf die',
        '  Antwort. Strg-C',
        '  bricht ab.',
      ],
    ],
    [
      [40],
      'de_DE.UTF-8',
      [
        '',
        '  identree.example.com wird um Freigabe',
        '  gebeten: sudo systemctl restart nginx',
        '  Freigeben kann: Sie selbst oder die',
        '  Administration.',
        '',
        '   https://identree.example.com/approve/ABCDEF-123456',
        '',
        '  Code: ABCDEF-123456    Noch: 2 min',
        '',
        '  Warte auf die Antwort. Strg-C bricht',
        '  ab.',
      ],
    ],
    [
      [80, 200],
      'de_DE.UTF-8',
      [
        '',
        '  identree.example.com wird um Freigabe gebeten: sudo systemctl restart nginx',
        '  Freigeben kann: Sie selbst oder die Administration.',
        '',
        '  https://identree.example.com/approve/ABCDEF-123456',
        '',
        '  Code: ABCDEF-123456    Noch: 2 min',
        '',
        '  Warte auf die Antwort. Strg-C bricht ab.',
      ],
    ],
  ];
  for (const [widths, locale, expected] of cases) {
    for (const cols of widths) {
      it(`${locale} on ${cols} columns`, () => {
        const lines: string[] = [];
        const voice = createVoice((line) => lines.push(line), { cols, rows: 24, term: 'dumb', locale });
        const argv = ['sudo', 'systemctl', 'restart', 'nginx'];
        voice.request({ ...ANSWER, approvalUrl: link }, { server: 'identree.example.com', leftMs: 120_000, argv });
        voice.sentence('gate.waiting');
        assert.deepEqual(lines, expected);
      });
    }
  }

  it('a long command is cut, and what it holds cannot leave its place', () => {
    const lines: string[] = [];
    const voice = createVoice((line) => lines.push(line), { cols: null, rows: null, term: '', locale: '' });
    voice.request(ANSWER, {
      server: 'id.example.com',
      leftMs: 1000,
      argv: ['sudo', 'echo', '\u001b[2J\n{server}', 'x'.repeat(4000)],
    });
    const text = lines.join(' ').replace(/\s+/g, ' ');
    assert.match(text, /asked to approve: sudo echo \[2J \{server\} x{90,105}… Who/);
  });

  it('the link is one line, and no width breaks it inside the code', () => {
    for (let cols = 13; cols <= 200; cols += 1) {
      const lines = shown({ cols, rows: 24, term: 'xterm', locale: '' }, { ...ANSWER, approvalUrl: link });
      const line = lines.find((text) => text.trim() === link);
      assert.ok(line, `whole on ${cols} columns`);
      const rows = line.match(new RegExp(`.{1,${cols}}`, 'g'))!;
      assert.ok(
        rows.some((row) => row.includes(ANSWER.userCode)),
        `${cols} columns: ${JSON.stringify(rows)}`,
      );
    }
  });

  it('what sudo puts before each line is left room for, and the code of the link is still on one row', () => {
    const before = '[sudo] ';
    for (let cols = 24; cols <= 120; cols += 1) {
      const screen = { cols, rows: 24, term: 'xterm', locale: '', prefix: before.length };
      const lines = shown(screen, { ...ANSWER, approvalUrl: link }).map((text) => before + text);
      for (const line of lines)
        assert.ok(width(line) <= cols || [link, ANSWER.userCode].some((word) => line.endsWith(` ${word}`)), line);
      const rows = lines.find((line) => line.endsWith(link))?.match(new RegExp(`.{1,${cols}}`, 'g')) ?? [];
      assert.ok(
        rows.some((row) => row.includes(ANSWER.userCode)),
        `${cols} columns: ${JSON.stringify(rows)}`,
      );
    }
  });

  it('the code by itself is whole on 20 columns', () => {
    const lines = shown({ cols: 20, rows: 24, term: 'xterm', locale: '' });
    assert.ok(lines.some((line) => line.includes(ANSWER.userCode) && line.length <= 20));
  });
});

describe('the time left', () => {
  const reminders = (screen: Screen) => {
    const lines: string[] = [];
    createVoice((line) => lines.push(line), screen).remind(30_000);
    return lines;
  };
  it('is said again on a terminal, as a line of its own', () => {
    assert.deepEqual(reminders(SCREEN), ['  Time left: 30 s']);
    assert.deepEqual(reminders({ ...SCREEN, locale: 'de_DE.UTF-8' }), ['  Noch: 30 s']);
  });
  for (const [name, change] of Object.entries<Partial<Screen>>({
    'on a dumb terminal': { term: 'dumb' },
    'on one without a name': { term: '' },
    'without a terminal': { cols: null, rows: null },
  })) {
    it(`is said once ${name}`, () => assert.deepEqual(reminders({ ...SCREEN, ...change }), []));
  }
});

describe('the code to scan', () => {
  it('is black on white whatever the colours of the terminal, and closed at each line end', () => {
    const code = qrCode(ANSWER.approvalUrl, 'xterm');
    assert.ok(code);
    for (const line of code.lines) assert.match(line, /^\u001b\[30;107m[ ▀▄█]+\u001b\[0m$/);
    assert.deepEqual([...new Set(code.lines.map(width))], [code.width]);
    // Two light modules all around, or scanners do not find it.
    assert.match(code.lines[0]!, /m +\u001b/);
    for (const line of code.lines) assert.match(line, /m {2}.* {2}\u001b/);
  });
  const hasCode = (change: Partial<Screen>) => /[▀▄█]/.test(shown({ ...SCREEN, ...change }).join(''));
  it('stands beside the text where there is room', () => {
    assert.equal(hasCode({}), true);
    assert.equal(hasCode({ cols: 200, rows: 60 }), true);
  });
  for (const [name, change] of Object.entries<Partial<Screen>>({
    narrow: { cols: 60 },
    low: { rows: 23 },
    dumb: { term: 'dumb' },
    unnamed: { term: '' },
    'of unknown size': { cols: null, rows: null },
  })) {
    it(`is left out on a terminal that is ${name}`, () => assert.equal(hasCode(change), false));
  }
  it('is left out when the link does not fit any code', () => assert.equal(qrCode('x'.repeat(8000), 'xterm'), null));
});

describe('wrap', () => {
  it('breaks at spaces only', () => {
    assert.deepEqual(wrap('a bb ccc', 4), ['a bb', 'ccc']);
    assert.deepEqual(wrap('aaaaaaaa b', 4), ['aaaaaaaa', 'b']);
    assert.deepEqual(wrap('', 4), ['']);
  });
});

describe('the documentation shows what a person sees', () => {
  for (const [page, pattern, screen] of [
    ['README.md', /transcript:begin -->\n\n```\n([\s\S]*?)\n```/, { cols: 100, rows: 50, term: 'xterm', locale: '' }],
    ['docs/asking.md', /^## While it waits\n\n```\n([\s\S]*?)\n```/m, { cols: 80, rows: 24, term: 'dumb', locale: '' }],
  ] as const) {
    it(page, async () => {
      const [, block = ''] = pattern.exec(await readFile(join(import.meta.dirname, '../../..', page), 'utf8')) ?? [];
      const [link = '', server = '', userCode = ''] = /https:\/\/(\S+?)\/approve\/(\S+)/.exec(block) ?? [];
      const words = block
        .split('\n')
        .map((line) => line.replace(/^[ ▀▄█]+/, ''))
        .join(' ');
      const [, command = ''] = /is asked to approve: (.*?) +Who can approve/.exec(words) ?? [];
      const lines: string[] = [];
      const voice = createVoice((line) => lines.push(line.replace(/\u001b\[[0-9;]*m/g, '').trimEnd()), screen);
      const answer = { ...ANSWER, approvalUrl: link, userCode };
      voice.request(answer, { server, leftMs: 120_000, argv: command.split(' ') });
      voice.sentence('gate.waiting');
      if (page === 'README.md') voice.sentence('gate.approved', { name: 'alice' });
      const written = block.split('\n').map((line) => line.trimEnd());
      assert.deepEqual(written[0] === '' ? written : ['', ...written], lines);
    });
  }
});
