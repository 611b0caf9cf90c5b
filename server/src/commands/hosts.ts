import { createCore } from '../app/core.ts';
import { type Command, EXIT } from './command.ts';

const ACTOR = 'identree-server';
const BY = { username: ACTOR, remoteAddr: null };

/** `identree-server hosts …`: works beside a running server, on the same database. */
export async function hostsCommand(command: Command, args: string[]): Promise<number> {
  const [verb, id, last] = args;
  const core = await createCore(command.config);
  try {
    switch (verb) {
      case 'list': {
        const hosts = await core.hosts.list();
        if (command.flags.json) {
          const rows = hosts.map((host) => ({
            id: host.id,
            hostname: host.hostname,
            state: host.state,
            group: host.host_group,
            keyFingerprint: host.api_key_thumbprint,
            enrolledAt: host.enrolled_at,
            lastSeenAt: host.last_seen_at,
            agentVersion: host.agent_version,
          }));
          command.out(`${JSON.stringify(rows, null, 2)}\n`);
          return EXIT.ok;
        }
        if (hosts.length === 0) command.out('No hosts yet. Make a token: identree-server hosts token NAME\n');
        for (const host of hosts) {
          const seen = host.last_seen_at === null ? 'never seen' : `seen ${new Date(host.last_seen_at).toISOString()}`;
          command.out(
            `${host.id}  ${host.state.padEnd(11)}  ${host.hostname}  ${seen}  key ${host.api_key_thumbprint}\n`,
          );
        }
        return EXIT.ok;
      }
      case 'token': {
        if (!id) break;
        const made = await core.hosts.createToken(id, ACTOR, null);
        // The token alone on standard output, so that it can be piped into a file.
        command.err(`For ${made.hostname}, usable once until ${new Date(made.expiresAt).toISOString()}:\n`);
        command.out(`${made.token}\n`);
        return EXIT.ok;
      }
      case 'confirm':
        if (!id || !last) break;
        await core.hosts.confirm(id, last, BY);
        command.out('Confirmed.\n');
        return EXIT.ok;
      case 'release':
        if (!id) break;
        await core.hosts.release(id, BY);
        command.out('Released: the next machine that speaks with its key is this host from then on.\n');
        return EXIT.ok;
      case 'group':
        if (!id) break;
        await core.hosts.setGroup(id, last ?? null, BY);
        command.out(last ? `In group ${last}.\n` : 'In no group.\n');
        return EXIT.ok;
      case 'revoke':
        if (!id) break;
        await core.hosts.revoke(id, BY);
        command.out('Revoked.\n');
        return EXIT.ok;
    }
    command.err(
      'use: identree-server hosts list | token NAME | confirm ID FINGERPRINT | release ID | group ID [GROUP] | revoke ID\n',
    );
    return EXIT.usage;
  } finally {
    await core.close();
  }
}
