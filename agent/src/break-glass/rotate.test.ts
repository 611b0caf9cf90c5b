import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { openHost } from '../app.ts';
import { stateFiles } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import { silentLog } from '../platform/log.ts';
import { systemRandom } from '../platform/random.ts';
import { ageIdentity, openPart } from '../testing/age.ts';
import { createFakeServer, passwordOf } from '../testing/fake-server.ts';
import { createEnrolledHost } from '../testing/host.ts';
import { hashPassword, isPassword } from './bcrypt.ts';
import { readHashFile, writeHashFile } from './hash-file.ts';
import { dueFor, type RotateDeps, type RotateOptions, rotate, stateOf } from './rotate.ts';
import { seal } from './sealing.ts';

const DAY = 24 * 3_600_000;
const T = 1_700_000_000_000;

describe('when a password is due', () => {
  const limits = { rotateBefore: null, maximumAgeMs: 90 * DAY, lastOpened: null, sealedTo: null };
  const cases: [
    string,
    { createdAt: number; escrowId?: string; sealedTo?: string } | null,
    Record<string, number | string>,
    string | null,
  ][] = [
    ['there is none', null, {}, 'missing'],
    ['it is young', { createdAt: T - 89 * DAY }, {}, null],
    ['it is as old as it may get', { createdAt: T - 90 * DAY }, {}, 'age'],
    ['the server asks for a newer one', { createdAt: T - DAY }, { rotateBefore: T }, 'requested'],
    ['the server asked before it was made', { createdAt: T - DAY }, { rotateBefore: T - 2 * DAY }, null],
    ['it has opened this host', { createdAt: T - DAY }, { lastOpened: T - 1 }, 'used'],
    ['it was made a year ahead', { createdAt: T + 365 * DAY }, {}, 'age'],
    ['it was made as late as was asked for', { createdAt: T + 365 * DAY }, { rotateBefore: T + 365 * DAY - 1 }, null],
    ['it is kept unsealed', { createdAt: T, escrowId: 'x' }, { sealedTo: 'a' }, 'people'],
    ['it is sealed to others', { createdAt: T, escrowId: 'x', sealedTo: 'b' }, { sealedTo: 'a' }, 'people'],
    ['it is to be sealed to nobody', { createdAt: T, escrowId: 'x', sealedTo: 'b' }, {}, 'people'],
    ['it is sealed to those', { createdAt: T, escrowId: 'x', sealedTo: 'a' }, { sealedTo: 'a' }, null],
    ['nobody keeps it', { createdAt: T }, { sealedTo: 'a' }, null],
    ['the one before it has opened this host', { createdAt: T - DAY }, { lastOpened: T - 2 * DAY }, null],
  ];
  for (const [what, current, change, due] of cases) {
    it(`${due ?? 'not'}: ${what}`, () =>
      assert.equal(
        dueFor(current && { escrowId: null, sealedTo: null, ...current }, { ...limits, ...change }, T),
        due,
      ));
  }
});

const QUIET: RotateOptions = { force: false, mayShow: false, local: false };

async function world(conf = '') {
  const server = await createFakeServer();
  const enrolled = await createEnrolledHost(server, conf);
  const host = await openHost(enrolled.paths, { log: silentLog });
  const file = join(enrolled.dir, 'identree-breakglass');
  const opened: { at: number | null } = { at: null };
  const deps: RotateDeps = {
    client: host.client,
    conf: { ...host.conf.breakGlass, file, cost: 10 },
    hostname: 'web1.example.com',
    journal: { lastOpened: async () => opened.at },
    lock: stateFiles(enrolled.paths.state).breakGlassRotationLock,
    hash: hashPassword,
    isPassword,
    seal,
    clock: systemClock,
    random: systemRandom,
  };
  const old = {
    hash: await hashPassword(Buffer.from('old-password'), 10),
    createdAt: T,
    type: 'random',
    escrowId: null,
    sealedTo: null,
  };
  return {
    server,
    file,
    opened,
    deps,
    host,
    old,
    putOld: (createdAt = Date.now() - DAY) => writeHashFile(file, 'web1.example.com', { ...old, createdAt }),
    opensWith: async (password: string) => isPassword(Buffer.from(password), (await readHashFile(file))!.hash),
    async [Symbol.asyncDispose]() {
      host.close();
      await server.close();
      await enrolled.remove();
    },
  };
}

describe('rotation', () => {
  it('the server keeps the new password, and nobody here is told; it opens the host', async () => {
    await using w = await world();
    const rotation = await rotate(w.deps, QUIET);
    assert.ok(rotation.kind === 'rotated' && rotation.shown === null && rotation.why === 'missing');
    const [kept, ...more] = w.server.breakGlass.kept;
    assert.deepEqual(more, []);
    assert.equal(kept!.id, rotation.escrowId);
    assert.equal(await w.opensWith(passwordOf(kept)), true);
    assert.equal((await readHashFile(w.file))?.escrowId, kept!.id);
    assert.equal(
      w.server.breakGlass.states.at(-1)?.current?.escrowId,
      kept!.id,
      'and the server is told which one it is',
    );
  });

  it('[E-B12] a young one stays, unless it is forced', async () => {
    await using w = await world();
    await w.putOld();
    assert.equal((await rotate(w.deps, QUIET)).kind, 'not_due');
    assert.equal(await w.opensWith('old-password'), true);
    assert.equal((await rotate(w.deps, { ...QUIET, force: true })).kind, 'rotated');
    assert.equal(await w.opensWith('old-password'), false);
  });

  it('[E-B13] one that is 200 days old is replaced, exactly once', async () => {
    await using w = await world();
    await w.putOld(Date.now() - 200 * DAY);
    assert.deepEqual(
      (await Promise.all([rotate(w.deps, QUIET), rotate(w.deps, QUIET)])).map(({ kind }) => kind).sort(),
      ['not_due', 'rotated'],
    );
    assert.equal(w.server.breakGlass.kept.length, 1);
  });

  it('one that the server wants replaced is, also where the clock of this host is behind', async () => {
    await using w = await world();
    await w.putOld();
    w.server.breakGlass.rotateBefore = Date.now() + 3_600_000;
    const first = await rotate(w.deps, QUIET);
    assert.ok(first.kind === 'rotated' && first.why === 'requested');
    assert.equal((await rotate(w.deps, QUIET)).kind, 'not_due', 'and not again and again');
  });

  it('[W-15] one that has opened the host is replaced', async () => {
    await using w = await world();
    await w.putOld();
    w.opened.at = Date.now();
    const rotation = await rotate(w.deps, QUIET);
    assert.ok(rotation.kind === 'rotated' && rotation.why === 'used');
  });

  it('[W-13] it is never replaced by one that nobody can learn: a server that keeps none, and nobody here', async () => {
    await using w = await world();
    w.server.breakGlass.escrow = false;
    await w.putOld(Date.now() - 200 * DAY);
    assert.equal((await rotate(w.deps, QUIET)).kind, 'failed');
    assert.equal(await w.opensWith('old-password'), true);
    const shown = await rotate(w.deps, { ...QUIET, mayShow: true });
    assert.ok(shown.kind === 'rotated' && shown.shown !== null && shown.escrowId === null);
    assert.equal(await w.opensWith(shown.shown!.toString()), true, 'who ran the command is told');
  });

  it('[E-B8] a server that did not keep it changes nothing here', async () => {
    await using w = await world();
    await w.putOld();
    w.server.intercept = ({ path, response }) => {
      if (path !== '/break-glass/escrow') return false;
      w.server.refuse(response, 409, 'superseded', 'not now');
      return true;
    };
    const rotation = await rotate(w.deps, { ...QUIET, force: true });
    assert.ok(rotation.kind === 'failed' && /not now/.test(rotation.message));
    assert.equal(await w.opensWith('old-password'), true);
  });

  it('a server that is away changes nothing here', async () => {
    await using w = await world();
    await w.putOld();
    await w.server.close();
    assert.equal((await rotate(w.deps, { ...QUIET, force: true, mayShow: true })).kind, 'failed');
    assert.equal(await w.opensWith('old-password'), true);
  });

  it('[E-B8] an answer that got lost is asked for again, under the same id', { timeout: 60_000 }, async () => {
    await using w = await world();
    const ids: unknown[] = [];
    w.server.intercept = ({ path, body, response }) => {
      if (path !== '/break-glass/escrow') return false;
      ids.push(body?.id);
      if (ids.length > 1) return false;
      response.destroy();
      return true;
    };
    assert.equal((await rotate(w.deps, QUIET)).kind, 'rotated');
    assert.equal(ids.length, 2);
    assert.equal(ids[0], ids[1]);
  });

  it('a crash after the server has kept it leaves the old one, and the next try makes another', async () => {
    await using w = await world();
    await w.putOld();
    const dying = { ...w.deps, conf: { ...w.deps.conf, file: join(w.file, '..', 'gone', 'file') } };
    await assert.rejects(rotate(dying, { ...QUIET, force: true }));
    assert.equal(w.server.breakGlass.kept.length, 1);
    assert.equal(await w.opensWith('old-password'), true);
    const next = await rotate(w.deps, { ...QUIET, force: true });
    assert.ok(next.kind === 'rotated' && next.escrowId !== w.server.breakGlass.kept[0]!.id);
  });

  it('[W-30] where people are named, the server is handed nothing that opens the host', async () => {
    const { identity, recipient } = await ageIdentity();
    await using w = await world(`IDENTREE_BREAKGLASS_RECIPIENTS=${recipient}\n`);
    const rotation = await rotate(w.deps, QUIET);
    assert.ok(rotation.kind === 'rotated');
    const [kept] = w.server.breakGlass.kept;
    assert.ok(kept && !('password' in kept));
    assert.equal(await w.opensWith(await openPart(kept.sealed.parts[0]!.age, identity)), true);
    assert.equal((await rotate(w.deps, QUIET)).kind, 'not_due');
    w.deps.conf = { ...w.deps.conf, sealing: null };
    const again = await rotate(w.deps, QUIET);
    assert.ok(again.kind === 'rotated' && again.why === 'people');
  });

  it('a password that cannot be sealed is not handed over, and the old one stays', async () => {
    // Well formed, and the checksum of another.
    const { recipient } = await ageIdentity();
    const typo = `${recipient.slice(0, -1)}${recipient.endsWith('q') ? 'p' : 'q'}`;
    await using w = await world(`IDENTREE_BREAKGLASS_RECIPIENTS=${typo}\n`);
    await w.putOld();
    const rotation = await rotate(w.deps, { ...QUIET, force: true });
    assert.ok(rotation.kind === 'failed' && rotation.message.includes(typo));
    assert.deepEqual(w.server.breakGlass.kept, []);
    assert.equal(await w.opensWith('old-password'), true);
  });

  it('a file that cannot be believed is looked at by a person first', async () => {
    await using w = await world();
    await writeFile(w.file, 'somebody was here\n', { mode: 0o600 });
    await assert.rejects(rotate(w.deps, QUIET), /holds no bcrypt hash/);
    assert.equal(await readFile(w.file, 'utf8'), 'somebody was here\n');
    assert.equal((await rotate(w.deps, { ...QUIET, force: true })).kind, 'rotated');
  });

  it('a host says what opens it, whoever made that', () => {
    assert.deepEqual(stateOf({ hash: '', createdAt: 5.5, type: 'dice', escrowId: 'x', sealedTo: null }, true, null), {
      enabled: true,
      current: { createdAt: 5, type: 'unknown', escrowId: null },
      problem: null,
    });
  });
});
