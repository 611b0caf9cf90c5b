import { createHmac } from 'node:crypto';
import { constantTimeEqual, sha256 } from '#shared/digest.ts';
import type { Clock } from '../platform/clock.ts';
import { type Random, randomText } from '../platform/random.ts';
import { createRateLimiter } from '../platform/rate-limiter.ts';

/** Without letters and digits that look alike. 31^8 codes. */
const ALPHABET = 'ABCDEFGHJKMNPQRSTUVWXYZ23456789';
/** Wrong codes in ten minutes, over everybody: all clients have the same address here. */
const WRONG_TRIES = 10;
const WINDOW_MS = 10 * 60_000;

/** A new code, as it is printed: `XXXX-XXXX`. */
export function newSignInCode(random: Random): string {
  const letters = Array.from({ length: 8 }, () => ALPHABET[random.int(ALPHABET.length)]!).join('');
  return `${letters.slice(0, 4)}-${letters.slice(4)}`;
}

const normalise = (typed: string): string => typed.toUpperCase().replace(/[^A-Z0-9]/g, '');

export interface SignInCode {
  /** Checks what a person typed. `token` is what the browser keeps from then on. */
  enter(typed: string): { ok: true; token: string } | { ok: false; problem: 'wrong' | 'too_many' };
  /** Whether a browser has entered the code before. */
  recognises(token: string | undefined): boolean;
}

/**
 * The door of the evaluation's sign-in: others on this machine can connect to loopback too, and only who sees the
 * terminal knows the code.
 *
 * @param deps.browserKey signs what browsers keep; a new one makes all of them ask again.
 */
export function createSignInCode(deps: { code: string; browserKey: string; clock: Clock; random: Random }): SignInCode {
  const tries = createRateLimiter({ clock: deps.clock, limit: WRONG_TRIES, windowMs: WINDOW_MS });
  const mac = (id: string): string =>
    createHmac('sha256', deps.browserKey).update(`evaluation browser ${id}`).digest('base64url');
  return {
    enter(typed) {
      if (!tries.peek('everybody')) return { ok: false, problem: 'too_many' };
      if (!constantTimeEqual(sha256(normalise(typed)), sha256(normalise(deps.code)))) {
        tries.take('everybody');
        return { ok: false, problem: 'wrong' };
      }
      const id = randomText(deps.random, 16);
      return { ok: true, token: `${id}.${mac(id)}` };
    },
    recognises(token) {
      const [id, signature, ...rest] = token?.split('.') ?? [];
      return id !== undefined && signature !== undefined && rest.length === 0 && constantTimeEqual(signature, mac(id));
    },
  };
}
