import assert from 'node:assert/strict';
import { type Load, type LoadedServer, until } from '../server/src/testing/load.ts';
import { keepTimes, type Outcome, within } from './fault.ts';
import {
  decisionsIn,
  seeDirectory,
  seeHealth,
  seePage,
  toldBetween,
  toldIn,
  untilWell,
  waitsIn,
  waitsOn,
} from './observe.ts';

/**
 * What comes of a database that answers and writes nothing down, under one server.
 *
 * @param take takes the possibility to write
 * @param giveBack gives it back
 * @param refusal the code of the refusal that says why
 * @param cause what the database says, which the log is to name
 * @param promisedSeconds within which all goes on
 * @param someFit whether a little room is found now and then
 */
export async function withoutWriting(
  load: Load,
  server: LoadedServer,
  {
    refusal,
    cause,
    promisedSeconds,
    someFit = false,
    take,
    giveBack,
  }: {
    /** A little room is found now and then, and what fits into it is decided. */
    someFit?: boolean;
    refusal: string;
    cause: RegExp;
    promisedSeconds: number;
    take(): Promise<unknown>;
    giveBack(): Promise<unknown>;
  },
): Promise<Outcome> {
  const servers = [server];
  await untilWell(server);
  await until(() => server.told().some(({ kind }) => kind === 'waited'));
  const takenAt = Date.now();
  await take();
  const refusals = () => toldBetween(servers, takenAt, Date.now()).filter((one) => one.kind === 'refused');
  await until(() => refusals().some((one) => one.code === refusal));
  await until(async () => (await server.health())?.body.checks.database !== 'ok');
  // What was begun before the last room was gone is over, and what is asked now is told the same.
  let knownAt = Date.now();
  await until(() => {
    const told = toldBetween(servers, knownAt, Date.now());
    const refused = told.filter((one) => one.kind === 'refused' && one.what !== 'wait');
    if (someFit) return told.length > 40 && refused.some((one) => one.kind === 'refused' && one.code === refusal);
    if (!told.some(({ kind }) => kind === 'created' || kind === 'cancelled')) return told.length > 40;
    knownAt = Date.now();
    return false;
  });
  const ldap = await seeDirectory(server);
  const console = await seePage(server);
  const health = await seeHealth(server);
  await until(() =>
    toldBetween(servers, knownAt, Date.now()).some(
      (one) => one.kind === 'refused' && one.what === 'wait' && one.code === refusal,
    ),
  );
  const backAt = Date.now();
  // A database that answers too late, as it does on a busy machine, is away for a moment.
  const told = toldBetween(servers, knownAt, backAt).filter(
    (one) => one.kind !== 'refused' || one.code !== 'unavailable',
  );
  const before = server.created();
  await giveBack();
  const times = keepTimes();
  const goesOn = (ms: number) => times.note('all went on', promisedSeconds, ms);
  goesOn(await until(() => server.created() > before));
  goesOn(await until(async () => (await server.health())?.status === 200));
  await until(() => server.told().some(({ kind, at }) => kind === 'waited' && at > backAt));
  assert.equal(server.process.exitCode, null, 'it does not end');
  await until(() => cause.test(server.logged()));
  assert.doesNotMatch(server.logged(), /rollback|savepoint/, 'what came of it hides the cause');
  const on = waitsOn(servers, takenAt) ? 'wait on with the same request' : 'the request they waited for is lost';
  const findings = await load.contradictions();
  return {
    facts: {
      decisions: someFit
        ? `${decisionsIn(told.filter(({ kind }) => kind !== 'created'))}; one that still fits is decided`
        : decisionsIn(told),
      ldap,
      console,
      hosts: `${waitsIn(told)}; then they ${on}`,
      health,
      recovery: within(promisedSeconds),
    },
    findings,
    told: toldIn(servers),
    times: times.all(),
  };
}
