import type { FastifyError } from 'fastify';
import { type ErrorCode, Refusal } from '#shared/errors.ts';

const FASTIFY_CODES: Record<string, ErrorCode> = {
  FST_ERR_CTP_BODY_TOO_LARGE: 'body_too_large',
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'wrong_content_type',
  FST_ERR_CTP_INVALID_JSON_BODY: 'bad_json',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'bad_json',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'bad_request',
};

/** Whatever went wrong with a request, as an entry of the error table. What nobody foresaw is `internal`. */
export function refusalOf(error: FastifyError | Refusal): Refusal {
  if (error instanceof Refusal) return error;
  const code = FASTIFY_CODES[error.code];
  if (code) return new Refusal(code);
  return new Refusal((error.statusCode ?? 500) < 500 ? 'bad_request' : 'internal');
}
