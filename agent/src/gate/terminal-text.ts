import type { ApprovalClass, Verdict } from '#shared/decision.ts';
import type { ChallengeAnswer } from '#shared/host-api.ts';
import { type Locale, localeOf, type MessageKey, t, timeLeft } from '#shared/messages.ts';
import { terminalLine } from '#shared/visible-text.ts';
import { isPlain, qrCode } from './qr.ts';

/** The person's terminal as far as it is known. */
export interface Screen {
  cols: number | null;
  rows: number | null;
  /** TERM of the asking process. */
  term: string;
  /** POSIX locale of the asking process. */
  locale: string;
  /** What the program that shows the lines puts before each of them, columns; 0 when absent. */
  prefix?: number;
}

/** Writes one finished line to the person. */
export type Say = (line: string) => void;

const INDENT = '  ';
const GAP = '   ';

/** The narrowest that sentences are broken for. */
const MINIMUM_WIDTH = 12;

/** How much of a command is said again to the person who has just typed it, characters. */
const COMMAND_SHOWN = 120;

/** Fewer columns beside the code would break every sentence. */
const NARROWEST = 24;

/** Breaks a sentence at spaces so that it fits; a word longer than the line stays whole. */
export function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of text.split(' ')) {
    const joined = line === '' ? word : `${line} ${word}`;
    if (line !== '' && [...joined].length > width) {
      lines.push(line);
      line = word;
    } else line = joined;
  }
  return [...lines, line];
}

/**
 * How far a link is indented. A link is one line whatever its length, so that it can be copied and clicked; where the
 * terminal has to break it, it breaks before the code, which is read aloud and typed, and never inside.
 *
 * @param code at the end of the link.
 * @param prefix columns that are taken before the indentation.
 */
export function linkIndent(link: string, code: string, cols: number | null, prefix = 0): number {
  const start = [...link].length - [...code].length;
  if (cols === null || !link.endsWith(code) || code.length > cols) return INDENT.length;
  const row = (column: number) => Math.floor((prefix + column) / cols);
  let indent = INDENT.length;
  while (row(indent + start) !== row(indent + start + code.length - 1)) indent += 1;
  return indent;
}

export interface RequestContext {
  server: string;
  leftMs: number;
  /** What is asked for, as the record shows it; null: a login. */
  argv: readonly string[] | null;
}

/** Everything that a waiting person reads. All texts of a server go through `terminalLine` here. */
export interface Voice {
  sentence(key: MessageKey, params?: Record<string, string | number>): void;
  readonly locale: Locale;
  /** What stands before what a person types: one line that does not end. */
  prompt(key: MessageKey): string;
  /** The last word of a refusal: who or why and, where an operator has named somebody, whom to call. */
  refusal(key: MessageKey, params: Record<string, string | number>, contact: string | null): void;
  /** Where the request went, who can approve, link, code, time left and, when it fits, the QR code. */
  request(answer: ChallengeAnswer, context: RequestContext): void;
  /** How much time is left, on a terminal. In a file or a mail it would be read when it is over. */
  remind(leftMs: number): void;
  approved(verdict: Verdict): void;
  denied(verdict: Verdict, contact: string | null): void;
  tooWeak(needed: ApprovalClass, contact: string | null): void;
}

export function createVoice(say: Say, screen: Screen): Voice {
  const locale: Locale = localeOf(screen.locale);
  const { prefix = 0 } = screen;
  const room = Math.min(screen.cols === null ? 80 : screen.cols - prefix, 100);
  const width = Math.max(MINIMUM_WIDTH, room - INDENT.length - 1);
  const line = (text: string) => say(text === '' ? '' : INDENT + text);
  const lines = (text: string) => {
    for (const part of wrap(text, width)) line(part);
  };
  const text = (key: MessageKey, params: Record<string, string | number> = {}) => {
    const clean = Object.fromEntries(
      Object.entries(params).map(([name, value]) => [name, typeof value === 'string' ? terminalLine(value) : value]),
    );
    return t(key, clean, locale);
  };
  const sentence: Voice['sentence'] = (key, params) => lines(text(key, params));
  const refusal: Voice['refusal'] = (key, params, contact) => {
    const why = text(key, params);
    if (contact === null) return lines(why);
    const ended = /[.!?…]$/.test(why) ? why : `${why}.`;
    lines(`${ended} ${text('gate.contact', { contact })}`);
  };

  const label = (key: MessageKey, value: string) => `${t(key, {}, locale)}: ${value}`;

  const askedText = ({ server, argv }: RequestContext) => {
    if (argv === null) return text('gate.askedLogin', { server });
    const command = [...argv.join(' ')];
    const shown = command.length > COMMAND_SHOWN ? `${command.slice(0, COMMAND_SHOWN).join('')}…` : command.join('');
    return text('gate.asked', { server, command: shown });
  };

  const whoText = (approvers: ChallengeAnswer['approvers']) => {
    const names = [...new Set(approvers)].map((who) => t(`gate.who.${who}`, {}, locale));
    return names.length === 2 ? t('gate.who.or', { a: names[0]!, b: names[1]! }, locale) : (names[0] ?? '');
  };

  const nameOf = (verdict: Verdict) => {
    const names = verdict.approvers.map((approver) => terminalLine(approver.username)).filter((name) => name !== '');
    return names.length > 0 ? names.join(', ').slice(0, 200) : t('gate.someone', {}, locale);
  };

  return {
    locale,
    sentence,
    prompt: (key) => `${INDENT}${text(key)} `,
    refusal,
    request(answer, context) {
      const link = terminalLine(answer.approvalUrl);
      const asked = askedText(context);
      const who = answer.approvers.length === 0 ? '' : t('gate.who', { who: whoText(answer.approvers) }, locale);
      const userCode = terminalLine(answer.userCode);
      const code = label('gate.code', userCode);
      const left = label('gate.left', timeLeft(context.leftMs, locale));
      const paragraphs = (columns: number, code: string[]) => [
        ...wrap(asked, columns),
        ...(who === '' ? [] : wrap(who, columns)),
        '',
        ...code,
      ];
      const qr = qrCode(link, screen.term);
      const beside = (screen.cols ?? 0) - prefix - INDENT.length - (qr?.width ?? 0) - GAP.length - 1;
      // Link, blank lines and the instruction around the code take six rows; one more for the shell's own line.
      // The first row of the code is its margin.
      const besideCode = ['', ...paragraphs(beside, [code, left])];
      const linkLine = () => say(' '.repeat(linkIndent(link, userCode, screen.cols, prefix)) + link);
      const fits = qr !== null && beside >= NARROWEST && (screen.rows ?? 0) >= qr.lines.length + 7;
      if (fits && besideCode.length <= qr.lines.length) {
        line('');
        linkLine();
        line('');
        for (const [index, bars] of qr.lines.entries()) line(bars + (besideCode[index] ? GAP + besideCode[index] : ''));
      } else {
        const together = `${code}    ${left}`;
        const text = paragraphs(
          width,
          [...together].length <= width ? [together] : [...wrap(code, width), ...wrap(left, width)],
        );
        for (const part of ['', ...text.slice(0, text.indexOf('')), '']) line(part);
        linkLine();
        for (const part of text.slice(text.indexOf(''))) line(part);
      }
      line('');
    },
    remind(leftMs) {
      if (screen.cols !== null && !isPlain(screen.term)) line(label('gate.left', timeLeft(leftMs, locale)));
    },
    approved(verdict) {
      if (verdict.class === 'policy') sentence('gate.approvedByPolicy');
      else if (verdict.class === 'grace') sentence('gate.approvedByGrace');
      else sentence('gate.approved', { name: nameOf(verdict) });
    },
    denied(verdict, contact) {
      const reason = terminalLine(verdict.reason ?? '')
        .trim()
        .slice(0, 500);
      if (reason === '') refusal('gate.denied', { name: nameOf(verdict) }, contact);
      else refusal('gate.deniedReason', { name: nameOf(verdict), reason }, contact);
    },
    tooWeak: (needed, contact) => refusal('gate.tooWeak', { needed: t(`class.${needed}`, {}, locale) }, contact),
  };
}
