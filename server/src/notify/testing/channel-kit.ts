import { createECDH, randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { type Answered, httpReceiver, type Received } from '../../audit/testing/http-receiver.ts';
import { createOutbound } from '../../outbound/outbound.ts';
import { createRunCommand, type RunCommand } from '../../platform/run-command.ts';
import type { ChannelKind } from '../channel.ts';
import { createVapid } from '../channels/vapid.ts';
import { createChannelMaker, secretsFrom } from '../create-channel.ts';
import { NOTICE_AT } from './notices.ts';

export const TOKEN = '123456:AAF-a-token-that-nobody-may-read';
export const WHSEC = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
export const OTHER_WHSEC = `whsec_${Buffer.alloc(32, 9).toString('base64')}`;

/** A browser that has subscribed. */
export function subscriber() {
  const pair = createECDH('prime256v1');
  pair.generateKeys();
  const auth = randomBytes(16);
  return { pair, auth, keys: { p256dh: pair.getPublicKey('base64url'), auth: auth.toString('base64url') } };
}

export const signal = (): AbortSignal => AbortSignal.timeout(120_000);

interface Made {
  opened?: string[];
  env?: Record<string, { token?: string; command?: string }>;
  run?: RunCommand;
  owner?: string | null;
  now?: () => number;
}

/** A channel as the server makes it, which may lead into loopback. */
export function channelOf(kind: ChannelKind, settings: Record<string, unknown>, made: Made = {}) {
  const secrets = Object.fromEntries(
    Object.entries(made.env ?? {}).map(([name, secret]) => [name, { token: null, command: null, ...secret }]),
  );
  const now = made.now ?? (() => NOTICE_AT);
  const make = createChannelMaker({
    outbound: createOutbound({ opened: made.opened ?? ['127.0.0.0/8'], resolve: async () => ['127.0.0.1'], now }),
    clock: { now },
    run: made.run ?? createRunCommand(),
    timeoutMs: 15_000,
    environment: { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: '/nonexistent' },
    vapid: async () => createVapid(Buffer.alloc(32, 1), 'https://identree.example.com'),
    secretOf: secretsFrom(secrets),
  });
  return make({ name: 'ops', kind, settings, owner: made.owner ?? null });
}

/** A channel of a kind that posts, and who gets it. */
export async function posting(
  t: Pick<TestContext, 'after'>,
  kind: ChannelKind,
  more: { settings?: Record<string, unknown>; answer?: (received: Received) => Answered; token?: string } = {},
) {
  const { url, received } = await httpReceiver(t, more.answer ?? (() => ({ status: 200 })));
  const settings = { url, ...more.settings };
  const token = more.token ?? (kind === 'telegram' ? TOKEN : undefined);
  const env: Made['env'] = token === undefined ? {} : { OPS: { token } };
  return { channel: channelOf(kind, settings, { env }), received, url };
}
