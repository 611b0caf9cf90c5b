import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { distinctMarks } from '#shared/text-marks.ts';
import { escapeBytes } from '#shared/visible-text.ts';
import { html, render } from './html.ts';
import { shownCommand, shownText } from './shown-text.ts';
import { markName, stringsOf } from './strings.ts';

const INVISIBLE = /[\u0000-\u001f\u007f-\u00a0\u00ad\u061c\u200b-\u200f\u2028-\u202f\u2060-\u206f\u3164\ufeff]/u;

test('no character that hides or turns text reaches the page, wherever it comes from', () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('\u202e', '\x1b[2J', '\u200b', '\u00a0'))),
      (texts) => {
        const argv = texts.map((text) => escapeBytes(Buffer.from(text)));
        const shown = [shownCommand(argv), shownText(texts.join(''))];
        for (const { text, html: markup } of shown) {
          assert.doesNotMatch(text, INVISIBLE);
          assert.doesNotMatch(render(markup), INVISIBLE);
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('arguments are told apart: quotes, blanks and empty ones', () => {
  const shown = (...argv: string[]) => shownCommand(argv.map((a) => escapeBytes(Buffer.from(a)))).text;
  assert.equal(shown('sudo', 'rm', '-rf', '/tmp/a b'), "sudo rm -rf '/tmp/a b'");
  assert.equal(shown('echo', ''), "echo ''");
  assert.equal(shown("it's"), "'it'\\''s'");
  assert.notEqual(shown('a b'), shown('a', 'b'));
  assert.notEqual(shown('a', ''), shown('a'));
});

test('a typed backslash escape is plain text, a real control character is a mark', () => {
  const typed = shownCommand([escapeBytes(Buffer.from('\\u{202e}'))]);
  const real = shownCommand([escapeBytes(Buffer.from('\u202e'))]);
  assert.equal(typed.marks.length, 0);
  assert.equal(real.marks.length, 1);
  assert.match(render(real.html), /<mark class="escape">\\u\{202e\}<\/mark>/);
  assert.doesNotMatch(render(typed.html), /<mark/);
});

test('letters of other scripts that pass for Latin ones, and blanks that pass for spaces, are marked', () => {
  const shown = shownCommand([escapeBytes(Buffer.from('/usr/bin/\u0430pt')), escapeBytes(Buffer.from('a\u00a0b'))]);
  assert.deepEqual(
    shown.marks.map(({ kind, code }) => [kind, code]),
    [
      ['lookalike', 0x430],
      ['escape', 0xa0],
    ],
  );
});

test('raw bytes and control characters have a name in the legend, each once', () => {
  const { marks } = shownCommand([escapeBytes(Buffer.from([0xff, 0x1b, 0xff, 0x0a]))]);
  const names = distinctMarks(marks).map((mark) => markName(stringsOf('en'), mark.kind, mark.code));
  assert.deepEqual(names, ['raw byte that is not valid text', 'escape, controls a terminal', 'line break']);
});

test('markup in data stays text', () => {
  const attack = '</code><script>alert(1)</script>"\'&';
  assert.doesNotMatch(render(shownText(attack).html), /<script|"|'/);
  assert.equal(render(html`<i title="${'"><b>'}">x</i>`), '<i title="&quot;&gt;&lt;b&gt;">x</i>');
  // What came out of JSON cannot pass for markup.
  assert.doesNotMatch(render(html`${JSON.parse('{"safe html":"<b>"}')}`), /<b>/);
});
