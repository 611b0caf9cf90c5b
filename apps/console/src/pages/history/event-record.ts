/** The data of a record, whatever it is. */
function dataOf(text: string): Record<string, unknown> {
  const { data } = JSON.parse(text) as { data?: unknown };
  return typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {};
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
