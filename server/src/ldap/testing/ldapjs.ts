import { createRequire } from 'node:module';

/** The few things of ldapjs that tests use: an independent codec and client. It comes without types. */

interface Ber {
  readonly buffer: Buffer;
}
type Make<T> = new (options: Record<string, unknown>) => T;

export interface LdapjsMessage {
  messageId: number;
  type: string;
  pojo: Record<string, unknown>;
  controls: { value: { size: number; cookie: Uint8Array } }[];
  responseName?: string;
}

export interface LdapjsSearch {
  on(event: 'searchEntry', take: (entry: { pojo: LdapjsEntry }) => void): void;
  on(event: 'end', take: (result: { status: number }) => void): void;
  on(event: 'error', take: (error: Error & { code: number }) => void): void;
}
export interface LdapjsEntry {
  objectName: string;
  attributes: { type: string; values: string[] }[];
}
type Done<T = unknown> = (error: (Error & { code: number }) | null, result: T, extra?: unknown) => void;

export interface LdapjsClient {
  bind(dn: string, password: string, done: Done): void;
  search(base: string, options: Record<string, unknown>, done: Done<LdapjsSearch>): void;
  compare(dn: string, attribute: string, value: string, done: Done<boolean>): void;
  exop(name: string, done: Done<string>): void;
  starttls(options: Record<string, unknown>, controls: unknown[], done: Done): void;
  unbind(done?: () => void): void;
  destroy(): void;
  on(event: 'error', take: (error: Error) => void): void;
}

const require = createRequire(import.meta.url);

export const ldapjs = require('ldapjs') as {
  createClient(options: { url: string }): LdapjsClient;
} & Record<
  | 'AndFilter'
  | 'OrFilter'
  | 'NotFilter'
  | 'PresenceFilter'
  | 'EqualityFilter'
  | 'SubstringFilter'
  | 'GreaterThanEqualsFilter'
  | 'LessThanEqualsFilter'
  | 'ApproximateFilter'
  | 'ExtensibleFilter',
  Make<object>
>;

const { BerReader } = require('@ldapjs/asn1') as { BerReader: new (bytes: Buffer) => Ber };
const messages = require('@ldapjs/messages') as {
  LdapMessage: { parse(ber: Ber): LdapjsMessage };
  SearchRequest: Make<{ toBer(): Ber }>;
};

export const encodeByLdapjs = (options: Record<string, unknown>): Buffer =>
  new messages.SearchRequest(options).toBer().buffer;

export const parseByLdapjs = (bytes: Uint8Array): LdapjsMessage =>
  messages.LdapMessage.parse(new BerReader(Buffer.from(bytes)));
