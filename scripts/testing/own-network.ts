import { spawnSync } from 'node:child_process';

/** A browser takes a machine that has nothing but loopback for one that is offline. */
const ENTER = `
ip link set lo up
ip link add outside type veth peer name inside
ip addr add 192.0.2.1/24 dev outside
ip link set outside up
ip link set inside up
exec "$@"`;

const wrap = (command: readonly string[]): string[] => ['unshare', '--net', '--', 'sh', '-ec', ENTER, 'sh', ...command];

/**
 * The command that runs another one in a network of its own, from which nothing leads elsewhere. Chromium gives up what
 * it is loading when a network of its machine comes or goes, and hosts that are booted beside it bring theirs.
 *
 * @returns the same command where no network can be made; no host is booted there either
 */
export function inOwnNetwork(command: readonly string[]): string[] {
  const [probe, ...args] = wrap(['true']);
  const canBeMade = spawnSync(probe!, args, { stdio: 'ignore', timeout: 60_000 }).status === 0;
  return canBeMade ? wrap(command) : [...command];
}
