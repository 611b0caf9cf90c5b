import assert from 'node:assert/strict';
import type { ToldDefaults } from '#shared/client-defaults.ts';
import { type Host, openHost } from '../app.ts';
import type { Paths } from '../paths.ts';
import { silentLog } from '../platform/log.ts';
import type { FakeServer } from './fake-server.ts';

/** The server tells other settings than before, and this host asks and hears it, as its agent does. */
export async function tellDefaults(
  server: FakeServer,
  host: Pick<Host, 'client' | 'defaults'>,
  defaults: ToldDefaults['defaults'],
): Promise<void> {
  server.clientDefaults = defaults;
  const nonce = 'n'.repeat(43);
  const state = { enabled: true, current: null, problem: null };
  const reply = await host.client.breakGlassState(state, undefined, { heard: host.defaults.heard(), nonce });
  assert.ok(reply.kind === 'ok' && reply.value.clientDefaults);
  await host.defaults.hear(reply.value.clientDefaults, nonce);
}

/** The same of a host whose agent does not run. */
export async function tellHostAt(paths: Paths, server: FakeServer, defaults: ToldDefaults['defaults']): Promise<void> {
  const host = await openHost(paths, { log: silentLog });
  try {
    await tellDefaults(server, host, defaults);
  } finally {
    host.close();
  }
}
