import type { FastifyError } from 'fastify';
import { type ErrorCode, Refusal } from '#shared/errors.ts';
import { DatabaseTrouble, type TroubleKind } from '../db/trouble.ts';

const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'wrong_content_type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'bad_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'bad_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
};

const TROUBLE_CODES: Record<TroubleKind, ErrorCode> = {
  away: 'unavailable',
  busy: 'unavailable',
  full: 'storage_full',
  read_only: 'storage_read_only',
  damaged: 'storage_damaged',
};

/** What of a failure is a refusal: said as such, or because the database cannot be used. Null: anything else. */
export function knownRefusalOf(error: unknown): Refusal | null {
  if (error instanceof Refusal) return error;
  // Its own log line says what it is about, for all requests that fail of it.
  return error instanceof DatabaseTrouble ? new Refusal(TROUBLE_CODES[error.kind]) : null;
}

/** Whatever went wrong with a request, as an entry of the error table. What nobody foresaw is `internal`. */
export function refusalOf(error: FastifyError | Refusal | DatabaseTrouble): Refusal {
  const known = knownRefusalOf(error);
  if (known !== null) return known;
  const { code: fastifyCode, statusCode = 500 } = error as FastifyError;
  const code = FASTIFY_CODES[fastifyCode];
  if (code) return new Refusal(code);
  return new Refusal(statusCode < 500 ? 'bad_request' : 'internal');
}
