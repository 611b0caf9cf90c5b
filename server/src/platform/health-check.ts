import type { HealthCheck } from './module.ts';

/** `…` stands for what differs from time to time. */
type Filled<Value extends string> = Value extends `${infer Before}…${infer After}`
  ? `${Before}${string}${Filled<After>}`
  : Value;

interface Declared<Value extends string> {
  name: string;
  about: string;
  severity: HealthCheck['severity'];
  values: Readonly<Record<Value, string>>;
  details?: string;
  namesParts?: true;
  run(): Promise<Filled<NoInfer<Value>> | { value: Filled<NoInfer<Value>> | null; detail: string } | null>;
}

/** A check that says nothing but what it has declared, so that nothing of it is missing in the documentation. */
export const healthCheck = <const Value extends string>(declared: Declared<Value>): HealthCheck => declared;

/** What every check may say besides. */
export const COMMON_VALUES = {
  ok: 'It is well.',
  timeout:
    'There was no answer within two seconds: the server is very busy, or what it asks does not answer. Look again.',
  error: 'The check itself failed. The log of the server says why.',
} as const satisfies Record<string, string>;
