import { randomBytes } from 'node:crypto';
import type { HostAuthorities } from '#shared/host-api.ts';
import type { CaCertificate, CertificateAuthority } from '../certificates/authority.ts';
import type { Database, UnitOfWork } from '../db/database.ts';
import { readFact, writeFact } from '../db/installation.ts';
import type { EventLog } from '../events/log.ts';
import {
  activateNextCa,
  addNextCa,
  type CaNames,
  caNamesIn,
  fingerprintOf,
  loadCa,
  removeOldCa,
  removeOldKey,
} from '../platform/authority-files.ts';
import type { Clock } from '../platform/clock.ts';
import { caKeyPem } from '../platform/key-files.ts';
import * as store from './store.ts';

/** Authorities of this installation as they were left by the last change of them, the one that signs first. */
const FACT = 'authorities';

/** What can be done about the authority now. */
export type CaPhase = 'settled' | 'begun' | 'activated';

const phaseOf = ({ next, old }: CaNames): CaPhase => (next !== null ? 'begun' : old !== null ? 'activated' : 'settled');

const COMMANDS = { begun: 'rotate', activated: 'activate', settled: 'finish' } as const satisfies Record<
  CaPhase,
  string
>;

const otherFiles = (folder: string): string =>
  `the keys folder ${folder} has other authorities than this installation: copy ca.json and the ca-* files from the keys folder of the server where identree-server ca was run, then restart this one`;

type Authorities = readonly Pick<CaCertificate, 'role' | 'fingerprint'>[];

/** Authorities and what each is for, as text that can be compared. */
const textOf = (authorities: Authorities): string =>
  authorities.map(({ role, fingerprint }) => `${role} ${fingerprint}`).join(' ');

/**
 * Pure rule: whether what is found in a folder is one step after what the installation was told last. Else a folder that the
 * steps were not taken in, of another server or from a backup, would bring back an authority that counts no more.
 *
 * @param told null: nothing yet, as no rotation was ever begun
 */
function isNextStep(found: Authorities, told: string | null): boolean {
  const of = (wanted: Authorities[number]['role']) => found.find(({ role }) => role === wanted)?.fingerprint;
  const [signing = '', next, old] = [of('signing'), of('next'), of('old')];
  if (next !== undefined) return told === null || told === textOf([{ role: 'signing', fingerprint: signing }]);
  if (old === undefined)
    return told?.startsWith(`${textOf([{ role: 'signing', fingerprint: signing }])} old `) === true;
  const before = textOf([
    { role: 'signing', fingerprint: old },
    { role: 'next', fingerprint: signing },
  ]);
  return told === null || told === before;
}

/** A step that may not be taken now; the message is for the operator. */
export class CaRefusal extends Error {}

export type CaRotation = ReturnType<typeof createCaRotation>;

/**
 * Puts a new authority in the place of the one that signs for hosts, in three steps. Both count in between, so no host has to
 * be enrolled again and none is refused meanwhile: the new one becomes known, then it signs, then the old one goes.
 */
export function createCaRotation(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  config: { keysDir: string };
  ca: CertificateAuthority;
  /** Makes the certificate of an authority for a P-256 key; both in PEM. */
  makeCa: (keyPem: string) => Promise<string>;
}) {
  const { db, events, clock, ca } = deps;
  const folder = deps.config.keysDir;
  let problem: string | null = null;

  const fingerprints = () => ca.certificates().map(({ fingerprint }) => fingerprint);

  /** Reads what is in the keys folder now. */
  async function reload(): Promise<void> {
    ca.use(await loadCa(folder, await caNamesIn(folder)));
    const expected = await readFact(db.query, FACT);
    const found = textOf(ca.certificates());
    // A server with a folder of its own would sign with an authority that others no longer accept.
    problem = expected === null || expected === found ? null : otherFiles(folder);
  }

  /** Hosts that may speak and do not go by what `isReady` asks for. */
  async function behind(isReady: (host: HostAuthorities | null) => boolean): Promise<store.Host[]> {
    const told = new Map((await store.listAuthorities(db.query)).map((row) => [row.host_id, store.authoritiesOf(row)]));
    return (await store.listHosts(db.query)).filter(
      (host) => host.state === 'active' && !isReady(told.get(host.id) ?? null),
    );
  }

  const named = (hosts: readonly store.Host[]): string => hosts.map(({ hostname }) => hostname).join(', ');

  async function note(
    event: 'ca_rotation_begun' | 'ca_activated' | 'ca_rotation_finished',
    actor: string,
    left: readonly store.Host[],
  ): Promise<void> {
    await reload();
    await db.transaction(async (work) => {
      // First: of two that take a step at once, the later one finds what the earlier one was told.
      await events.append(work, {
        event,
        username: '',
        actor,
        data: {
          authorities: Object.fromEntries(ca.certificates().map(({ role, fingerprint }) => [role, fingerprint])),
          leftBehind: left.map(({ hostname }) => hostname),
        },
      });
      if (!isNextStep(ca.certificates(), await readFact(work.query, FACT)))
        throw new CaRefusal(`Another server took a step meanwhile: ${otherFiles(folder)}.`);
      await writeFact(work, FACT, textOf(ca.certificates()));
    });
    problem = null;
  }

  /** Whether a step was taken in the folder and broke off before the others were told. */
  async function isUntold(reached: CaPhase): Promise<boolean> {
    if (phaseOf(await caNamesIn(folder)) !== reached) return false;
    await reload();
    return isNextStep(ca.certificates(), await readFact(db.query, FACT));
  }

  async function step(wanted: CaPhase): Promise<CaNames> {
    const names = await caNamesIn(folder);
    const phase = phaseOf(names);
    await reload();
    if (problem !== null)
      throw new CaRefusal(
        (await isUntold(phase))
          ? `The last step broke off. Take it again: identree-server ca ${COMMANDS[phase]}`
          : `No step can be taken here: ${problem}.`,
      );
    if (phase === wanted) return names;
    throw new CaRefusal(
      {
        settled: 'No rotation of the authority is under way. Begin one: identree-server ca rotate',
        begun: 'A rotation has begun already. Its next step: identree-server ca activate',
        activated: 'The new authority signs already. The last step: identree-server ca finish',
      }[phase],
    );
  }

  return {
    reload,
    /** Why this server issues no certificates; null when it does. */
    problem: () => problem,

    /** What hosts are told with each heartbeat; null: nothing that could be relied on. */
    shown: (): string[] | null => (problem === null ? fingerprints() : null),

    /** Keeps what a host says that it goes by. */
    async heard(work: UnitOfWork, host: store.Host, said: HostAuthorities | undefined): Promise<void> {
      if (said === undefined) return;
      const row = { issuer: said.issuer, bundle: said.bundle.join(' ') };
      const kept = await store.findAuthorities(work.query, host.id);
      if (kept?.issuer === row.issuer && kept.bundle === row.bundle) return;
      await store.putAuthorities(work, { host_id: host.id, ...row, told_at: clock.now() });
    },

    async status(): Promise<{ phase: CaPhase; left: store.Host[] }> {
      const phase = phaseOf(await caNamesIn(folder));
      const [signing] = fingerprints();
      const next = ca.certificates().find(({ role }) => role === 'next')?.fingerprint;
      const left =
        phase === 'begun'
          ? await behind((host) => host?.bundle.includes(next ?? '') === true)
          : phase === 'activated'
            ? await behind((host) => host?.issuer === signing)
            : [];
      return { phase, left };
    },

    /** Makes the next authority and has hosts learn of it. */
    async begin(actor: string): Promise<void> {
      if (await isUntold('begun')) return note('ca_rotation_begun', actor, []);
      const names = await step('settled');
      const keyPem = caKeyPem();
      const certificatePem = await deps.makeCa(keyPem);
      await addNextCa(folder, names, { id: randomBytes(4).toString('hex'), keyPem, certificatePem });
      await note('ca_rotation_begun', actor, []);
    },

    /** @throws CaRefusal when hosts do not know it yet, unless forced: they would refuse the directory until they do */
    async activate(actor: string, { force }: { force: boolean }): Promise<void> {
      if (await isUntold('activated')) {
        await removeOldKey(folder, await caNamesIn(folder));
        return note('ca_activated', actor, []);
      }
      const names = await step('begun');
      const { next } = names;
      if (next === null) return;
      const fingerprint = fingerprintOf((await loadCa(folder, names)).next ?? '');
      const unready = await behind((host) => host?.bundle.includes(fingerprint) === true);
      if (unready.length > 0 && !force)
        throw new CaRefusal(
          `These hosts do not know the new authority yet, and would refuse the directory: ${named(unready)}. They learn it with their next heartbeat. Wait, revoke those that are gone, or add --force.`,
        );
      await activateNextCa(folder, { ...names, next });
      await note('ca_activated', actor, unready);
    },

    /** @throws CaRefusal while hosts have certificates of the old authority, unless forced: the directory would refuse them */
    async finish(actor: string, { force }: { force: boolean }): Promise<void> {
      if (await isUntold('settled')) return note('ca_rotation_finished', actor, []);
      const names = await step('activated');
      const { old } = names;
      if (old === null) return;
      const signing = fingerprintOf((await loadCa(folder, names)).certificatePem);
      const outdated = await behind((host) => host?.issuer === signing);
      if (outdated.length > 0 && !force)
        throw new CaRefusal(
          `These hosts still have certificates of the old authority, which the directory would refuse: ${named(outdated)}. They renew with their next heartbeat. Wait, revoke those that are gone, or add --force.`,
        );
      await removeOldCa(folder, { ...names, old });
      await note('ca_rotation_finished', actor, outdated);
    },
  };
}
