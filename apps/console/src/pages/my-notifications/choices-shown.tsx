import { listed } from '../../words/text.ts';
import { eventWords } from './event-words.ts';
import type { Preferences } from './notify-types.ts';

/** What somebody has chosen, where it cannot be changed. */
export function ChoicesShown({ saved, isAdmin }: { saved: Preferences; isAdmin: boolean }) {
  const { enabled, events, channels, hosts, others, screens, quiet } = saved;
  return (
    <dl className="facts compact">
      <dt>Told</dt>
      <dd>{enabled ? 'yes' : 'nothing at all'}</dd>
      <dt>Events</dt>
      <dd>{events.length === 0 ? 'all' : listed(events.map(eventWords))}</dd>
      <dt>Channels</dt>
      <dd>{channels.length === 0 ? 'all of yours' : listed(channels)}</dd>
      <dt>Hosts</dt>
      <dd>{hosts.length === 0 ? 'all' : listed(hosts)}</dd>
      {isAdmin && (
        <>
          <dt>About others</dt>
          <dd>{others ? 'yes' : 'no'}</dd>
        </>
      )}
      <dt>On screen</dt>
      <dd>{screens ? 'yes, where you are signed in' : 'no'}</dd>
      <dt>Quiet hours</dt>
      <dd>{quiet === null ? 'none' : `from ${quiet.from} to ${quiet.to}, ${quiet.timeZone}`}</dd>
    </dl>
  );
}
