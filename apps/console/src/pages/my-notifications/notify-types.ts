import { api, type Outputs, refresh } from '../../server/api.ts';

type Notify = Outputs['notify'];
export type Channel = Notify['channels']['list'][number];
export type ChannelKind = Channel['kind'];
export type Preferences = Omit<Notify['preferences']['get'], 'chosen'>;
export type Week = Notify['week'];
export type Delivery = Notify['deliveries']['get'];

/** Asks anew how channels fare. */
export const refreshChannels = (): void => void refresh(api.notify.channels.pathKey());

/** Asks anew for everything that depends on which channels there are, and on what was chosen. */
export function refreshTold(): void {
  refreshChannels();
  void refresh(api.notify.preferences.pathKey());
  void refresh(api.notify.week.pathKey());
}
