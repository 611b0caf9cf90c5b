import type { CommandGroup } from '#shared/command-line/command.ts';
import { ACTOR, type CommandIo, coreCommand, EXIT } from './command.ts';

const BY = { username: ACTOR, remoteAddr: null };

const list = coreCommand({
  name: 'list',
  help: 'hosts and their state',
  options: { json: { help: 'for programs' } },
  async run({ core, out }, { options }) {
    const hosts = await core.hosts.list();
    if (options.json) {
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
      out(`${JSON.stringify(rows, null, 2)}\n`);
      return EXIT.ok;
    }
    if (hosts.length === 0) out('No hosts yet. Make a token: identree-server hosts token NAME\n');
    for (const host of hosts) {
      const seen = host.last_seen_at === null ? 'never seen' : `seen ${new Date(host.last_seen_at).toISOString()}`;
      out(`${host.id}  ${host.state.padEnd(11)}  ${host.hostname}  ${seen}  key ${host.api_key_thumbprint}\n`);
    }
    return EXIT.ok;
  },
});

const token = coreCommand({
  name: 'token',
  help: 'make an enrolment token for one host',
  options: { json: { help: 'for programs' } },
  operands: { name: {} },
  async run({ core, out, err }, { operands, options }) {
    const made = await core.hosts.createToken(operands.name, ACTOR, null);
    if (options.json) {
      out(`${JSON.stringify(made, null, 2)}\n`);
      return EXIT.ok;
    }
    const there = (await core.hosts.list()).find(
      ({ hostname, state }) => hostname === made.hostname && state !== 'revoked',
    );
    if (there !== undefined)
      err(
        `A host of this name is enrolled. Revoke it before the token is used: identree-server hosts revoke ${there.id}\n`,
      );
    // The token alone on standard output, so that it can be piped into a file.
    err(`For ${made.hostname}, usable once until ${new Date(made.expiresAt).toISOString()}:\n`);
    out(`${made.token}\n`);
    return EXIT.ok;
  },
});

const confirm = coreCommand({
  name: 'confirm',
  help: 'accept a waiting host by its key fingerprint',
  operands: { id: {}, fingerprint: {} },
  async run({ core, out }, { operands }) {
    await core.hosts.confirm(operands.id, operands.fingerprint, BY);
    out('Confirmed.\n');
    return EXIT.ok;
  },
});

const release = coreCommand({
  name: 'release',
  help: 'let a quarantined host speak again',
  operands: { id: {} },
  async run({ core, out }, { operands }) {
    await core.hosts.release(operands.id, BY);
    out('Released: the next machine that speaks with its key is this host from then on.\n');
    return EXIT.ok;
  },
});

const group = coreCommand({
  name: 'group',
  help: 'put a host into a group for policies, or out of one',
  operands: { id: {}, group: { optional: true } },
  async run({ core, out }, { operands }) {
    await core.hosts.setGroup(operands.id, operands.group, BY);
    out(operands.group === null ? 'In no group.\n' : `In group ${operands.group}.\n`);
    return EXIT.ok;
  },
});

const revoke = coreCommand({
  name: 'revoke',
  help: "end a host's identity",
  operands: { id: {} },
  async run({ core, out }, { operands }) {
    await core.hosts.revoke(operands.id, BY);
    out('Revoked.\n');
    return EXIT.ok;
  },
});

export const hosts: CommandGroup<CommandIo> = {
  name: 'hosts',
  help: 'hosts that enrolled, and tokens with which they may',
  commands: [list, token, confirm, release, group, revoke],
};
