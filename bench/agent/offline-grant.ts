import { setTimeout } from 'node:timers/promises';
import type { Host } from '../../e2e/harness/lab.ts';
import type { World } from '../../e2e/harness/world.ts';
import { type BenchResult, percentile, round } from '../report.ts';

const JOURNAL = '/var/lib/identree/offline-grants.journal';
/** For so long after a sudo its host still writes down what became of it, milliseconds. */
const QUIET_MS = 200;
const WARM_UPS = 3;
const GOAL_MS = 8;

/** Milliseconds that one sudo took, by a clock in the host itself: to enter it takes longer. */
async function once(host: Host): Promise<number> {
  // $EPOCHREALTIME is in microseconds.
  const line = `a=$EPOCHREALTIME; sudo true >/dev/null; b=$EPOCHREALTIME; echo "took $(( \${b/./} - \${a/./} ))"`;
  const terminal = host.terminal('alice', ['bash', '-c', line]);
  await terminal.exit;
  const took = /took (\d+)/.exec(terminal.text())?.[1];
  if (took === undefined) throw new Error(`a sudo was not timed:\n${terminal.text()}`);
  return Number(took) / 1000;
}

const uses = async (host: Host): Promise<number> =>
  host.exists(JOURNAL)
    ? (await host.read(JOURNAL)).split('\n').filter((line) => line.includes('"kind":"use"')).length
    : 0;

/**
 * What a command that runs by an offline grant takes longer than a plain sudo, in turns on two hosts of the same image. The
 * host that asks has no network meanwhile.
 */
export async function measureOfflineGrant(world: World, runs: number, step: () => void): Promise<BenchResult> {
  await world.server.stop();
  await world.server.start({ IDENTREE_OFFLINE_GRANT: '1h' });
  const gated = world.host();
  const plain = await world.lab.up('plain');
  // A sudo that asks nobody, with everything else of its PAM stack in place.
  await plain.write(
    '/etc/pam.d/sudo',
    '#%PAM-1.0\nauth required pam_permit.so\n@include common-account\n@include common-session-noninteractive\n',
  );
  // The first one asks, and is given the grant.
  await once(gated);
  await gated.sh('ip link set eth0 down');
  const before = await uses(gated);
  const added: number[] = [];
  const base: number[] = [];
  for (let n = 0; n < WARM_UPS + runs; n += 1) {
    const gatedMs = await once(gated);
    await setTimeout(QUIET_MS);
    const plainMs = await once(plain);
    if (n < WARM_UPS) continue;
    step();
    added.push(gatedMs - plainMs);
    base.push(plainMs);
  }
  const used = (await uses(gated)) - before;
  if (used !== WARM_UPS + runs) throw new Error(`${used} of ${WARM_UPS + runs} commands ran by a grant`);
  await gated.sh('ip link set eth0 up');
  const version = /version (\S+)/.exec((await plain.exec(['sudo', '--version'])).stdout)?.[1] ?? '';
  await plain.down();
  const [plainMs, addedMs] = [percentile(base, 0.5), percentile(added, 0.5)];
  return {
    metric: 'offline_grant_added_ms',
    unit: 'ms',
    value: round(addedMs),
    p99: round(percentile(added, 0.99)),
    goal: GOAL_MS,
    peer: { name: 'sudo', version, value: round(plainMs) },
    ratio: round((plainMs + addedMs) / plainMs),
  };
}
