import { createHmac, timingSafeEqual } from 'node:crypto';

/** What a caller of the webhook is told; 204: a refresh was asked for. */
export interface WebhookAnswer {
  readonly status: 204 | 400 | 403 | 405 | 413 | 415;
  readonly message: string;
}

export interface WebhookRequest {
  readonly method: string;
  readonly contentType: string | undefined;
  /** Exactly the bytes that arrived: the signature is over them. */
  readonly body: Buffer;
  /** `X-Webhook-Signature`: `sha256=<hex>`, prefix optional. */
  readonly signature: string | undefined;
  /** `X-Webhook-Timestamp`, seconds since the epoch; when present it is signed as `<timestamp>.<body>`. */
  readonly timestamp: string | undefined;
  /** `X-Webhook-Id`: accepted once while its timestamp is fresh. Only used together with a timestamp. */
  readonly id: string | undefined;
}

export const WEBHOOK_BODY_LIMIT = 65_536;
const FRESH_MS = 5 * 60_000;
const MAX_IDS = 10_000;

/**
 * `POST /api/webhook/pocketid`: who knows the secret may ask for a refresh. PocketID itself calls no webhook; this is
 * for scripts, proxies and other identity providers.
 *
 * @param deps.secret null: the webhook is off.
 * @param deps.onSignal asks for a refresh; it debounces.
 */
export function createWebhook(deps: { secret: string | null; now: () => number; onSignal: () => void }) {
  const seen = new Map<string, number>();
  const answer = (status: WebhookAnswer['status'], message: string): WebhookAnswer => ({ status, message });

  function spend(id: string, now: number): boolean {
    for (const [old, until] of seen) {
      if (until > now && seen.size < MAX_IDS) break;
      seen.delete(old);
    }
    if (seen.has(id)) return false;
    seen.set(id, now + 2 * FRESH_MS);
    return true;
  }

  return (request: WebhookRequest): WebhookAnswer => {
    if (request.method !== 'POST') return answer(405, 'use POST');
    if (!/^application\/json\b/i.test(request.contentType ?? ''))
      return answer(415, 'Content-Type must be application/json');
    if (deps.secret === null) return answer(403, 'webhook not configured');
    if (request.body.length >= WEBHOOK_BODY_LIMIT) return answer(413, 'the body is larger than 64 KiB');
    const { timestamp, id } = request;
    const stamped = timestamp !== undefined;
    const mac = createHmac('sha256', deps.secret);
    if (stamped) mac.update(`${timestamp}.`);
    const expected = mac.update(request.body).digest();
    const given = /^(?:sha256=)?([0-9a-fA-F]{64})$/.exec(request.signature ?? '')?.[1];
    if (given === undefined || !timingSafeEqual(Buffer.from(given, 'hex'), expected))
      return answer(403, 'invalid signature');
    if (stamped) {
      const now = deps.now();
      const at = /^[0-9]{1,11}$/.test(timestamp) ? Number(timestamp) * 1000 : Number.NaN;
      if (!(Math.abs(now - at) <= FRESH_MS)) return answer(403, 'invalid signature');
      if (id !== undefined && !spend(`${timestamp} ${id.slice(0, 200)}`, now)) return answer(204, '');
    }
    deps.onSignal();
    return answer(204, '');
  };
}
