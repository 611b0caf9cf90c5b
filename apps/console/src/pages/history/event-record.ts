import { visibleText } from '#shared/visible-text.ts';

/** The data of a record, whatever it is. */
function dataOf(text: string): Record<string, unknown> {
  const { data } = JSON.parse(text) as { data?: unknown };
  return typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {};
}

/** What a host told of something that it did, or was asked to do. */
export interface Told {
  /** As a person would read it, everything invisible escaped. */
  command: string | null;
  /** When it was done, by the clock of the host: it told of it later. Milliseconds; null: at the time of the event. */
  doneAt: number | null;
  facts: [label: string, value: string][];
}

/** From the record of an event; empty where no host told anything of the kind. */
export function toldOf(text: string): Told {
  const { command, at, usedAt, runAs, cwd, tty, origin, gate } = dataOf(text);
  const user = typeof runAs === 'object' && runAs !== null ? (runAs as Record<string, unknown>).user : runAs;
  const facts = [
    // Who logs in runs nothing as somebody else.
    ['Runs as', gate === 'ssh' ? null : user],
    ['Directory', cwd],
    ['Terminal', tty],
    ['Logged in from', origin],
  ];
  const done = [at, usedAt].find((value) => typeof value === 'number');
  return {
    command: typeof command === 'string' ? visibleText(command) : null,
    doneAt: typeof command === 'string' && done !== undefined ? done : null,
    facts: facts.flatMap(([label, value]): Told['facts'] =>
      typeof value === 'string' && value !== '' ? [[String(label), visibleText(value)]] : [],
    ),
  };
}

const EVIDENCE: readonly [name: string, label: string][] = [
  ['class', 'Kind'],
  ['credentialIds', 'Passkeys'],
  ['approverKeysVersion', 'Key set'],
  ['rule', 'Rule'],
  ['policyVersion', 'Policy'],
  ['requestHash', 'Request hash'],
];

/** What a decision rests on, from its record; nothing for what is no decision. */
export function evidenceOf(text: string): [label: string, value: string][] {
  const data = dataOf(text);
  if (!Object.hasOwn(data, 'class') || data.class === null) return [];
  return EVIDENCE.flatMap(([name, label]) => {
    const value = data[name];
    const shown = Array.isArray(value) ? value.join(', ') : value === null || value === undefined ? '' : String(value);
    return shown === '' ? [] : [[label, shown] as [string, string]];
  });
}

/** Whether a passkey signed it, so that there is something to check offline. */
export const isSigned = (text: string): boolean => dataOf(text).class === 'passkey';

/** The record for eyes, and below it what it names by its hash: the same members in the same order, on lines of their own. */
export const prettyRecord = (...texts: (string | null)[]): string =>
  texts
    .filter((text) => text !== null)
    .map((text) => JSON.stringify(JSON.parse(text), null, 2))
    .join('\n');
