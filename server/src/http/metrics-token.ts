import type { FastifyRequest } from 'fastify';
import { constantTimeEqual, sha256 } from '#shared/digest.ts';

/**
 * Whether somebody may read what is measured here, and what this installation is made of.
 *
 * @param token null: anybody may
 */
export const createMayMeasure =
  (token: string | null) =>
  ({ headers }: Pick<FastifyRequest, 'headers'>): boolean => {
    if (token === null) return true;
    const given = /^Bearer (.+)$/.exec(headers.authorization ?? '')?.[1] ?? '';
    return constantTimeEqual(sha256(given), sha256(token));
  };
