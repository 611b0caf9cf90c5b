import { COLOUR_VALUES } from '../colours.ts';
import { createConsoleHandler, onlyFor } from './app-protocol.ts';
import type { Credential, CredentialStore } from './credential-store.ts';
import { createForwarder } from './forward.ts';
import type { ShellFile } from './page-files.ts';
import type { RandomBytes } from './pkce.ts';
import type { HttpPort, ProtocolPort } from './ports.ts';
import { type Profile, partitionOf } from './profile.ts';
import type { Window } from './window.ts';

/** The console of one server, in a window and a storage of its own. */
export function createConsolePage(deps: {
  protocol: ProtocolPort;
  window: Window;
  http: HttpPort;
  credentials: Pick<CredentialStore, 'get'>;
  files: (path: string) => ShellFile | null;
  random: RandomBytes;
  userAgent: string;
  version: string;
  platform: string;
  onSessionEnded: (origin: string, used: Credential | null) => void;
}) {
  return {
    /** @param isOneOfMany name and colour are shown, to tell it from the others */
    show({ origin, name, colour }: Profile, isOneOfMany: boolean): void {
      const forwarder = createForwarder({
        http: deps.http,
        origin,
        credential: () => deps.credentials.get(origin),
        userAgent: deps.userAgent,
        onSessionEnded: (used) => deps.onSessionEnded(origin, used),
      });
      const handler = createConsoleHandler({ files: deps.files, forwarder, random: deps.random });
      const partition = partitionOf({ origin });
      deps.protocol.serve(partition, onlyFor('console', handler));
      const facts = {
        origin,
        version: deps.version,
        platform: deps.platform,
        colour: isOneOfMany ? COLOUR_VALUES[colour] : null,
      };
      const spec = { kind: 'console' as const, partition, facts, name: isOneOfMany ? name : null };
      deps.window.show(spec, { origin, onGone: forwarder.endStreams });
    },
  };
}
