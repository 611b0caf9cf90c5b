import { createOutbound, systemResolve } from '../outbound/outbound.ts';
import type { Ground } from '../platform/module.ts';
import { createRunCommand } from '../platform/run-command.ts';
import type { Vapid } from './channels/vapid.ts';
import { createChannelMaker, secretsFrom } from './create-channel.ts';

/** Channels that reach the world by the configuration of this server. @throws as {@link createChannelMaker} says */
export function createSystemChannels({ config, clock }: Pick<Ground, 'config' | 'clock'>, vapid: Vapid) {
  const { allowCidrs: opened, timeoutMs } = config.notify;
  return createChannelMaker({
    outbound: createOutbound({ opened, resolve: systemResolve, now: clock.now, timeoutMs }),
    clock,
    run: createRunCommand(undefined, timeoutMs),
    timeoutMs,
    environment: config.notify.environment,
    vapid: async () => vapid,
    secretOf: secretsFrom(config.notify.secrets),
  });
}
