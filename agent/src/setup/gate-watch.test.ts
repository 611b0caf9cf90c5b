import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { link, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { programPath } from '../platform/program.ts';
import { createHostTree } from '../testing/host-tree.ts';
import { readGateState, readSettledGateState } from './gate-state.ts';
import { createGateWatch } from './gate-watch.ts';
import { createKnownPlugins, PLUGIN_RECORD } from './known-plugins.ts';
import { SUDO_CONF } from './sudo-conf.ts';
import { PLUGIN, SUDO_CONF_LINES } from './sudo-gate.ts';

const plugin = (build: string) => {
  const file = `ELF ${build}`;
  return { build, file, sha256: createHash('sha256').update(file).digest('hex') };
};
const OWN = plugin('a'.repeat(32));
const NEXT = plugin('b'.repeat(32));
const recordOf = ({ build, sha256 }: typeof OWN): string => `${build} ${sha256}\n`;
const CONF = `${SUDO_CONF_LINES.join('\n')}\n`;
const PROGRAM = '/usr/bin/identree';

async function watched() {
  const host = await createHostTree({
    [SUDO_CONF]: CONF,
    [PLUGIN]: OWN.file,
    [PLUGIN_RECORD]: recordOf(OWN),
    [PROGRAM]: 'one version',
  });
  const logged: string[] = [];
  const running = join(host.root, 'running');
  await link(join(host.root, PROGRAM), running);
  const known = createKnownPlugins(host.root, PROGRAM, OWN, running);
  const watch = createGateWatch(host.root, PROGRAM, known, { warn: (line) => void logged.push(line) });
  return {
    root: host.root,
    logged,
    known,
    loads: watch.loads,
    /** In the place of the file, as package managers and editors do it. */
    async put(path: string, text: string) {
      await writeFile(join(host.root, `${path}.new`), text, { mode: 0o644 });
      await rename(join(host.root, `${path}.new`), join(host.root, path));
    },
    [Symbol.asyncDispose]: () => host[Symbol.asyncDispose](),
  };
}

describe('whether sudo loads the plugin as setup left it', () => {
  for (const [name, path, text] of [
    ['a line is gone', SUDO_CONF, `${SUDO_CONF_LINES[0]}\n`],
    ['all lines are gone', SUDO_CONF, ''],
    ['another plugin comes first', SUDO_CONF, `Plugin other_audit other.so\n${CONF}`],
    ['the plugin is altered', PLUGIN, `${OWN.file}, and more`],
    ['the plugin is of another build', PLUGIN, NEXT.file],
  ] as const)
    it(`${name}: no, until it is as before, and the log says it once`, async () => {
      await using h = await watched();
      assert.equal(await h.loads(), OWN.build);
      await h.put(path, text);
      assert.deepEqual([await h.loads(), await h.loads()], [null, null]);
      assert.equal(h.logged.length, 1);
      await h.put(path, path === PLUGIN ? OWN.file : CONF);
      assert.equal(await h.loads(), OWN.build);
    });

  it('plugins of sudoers may come first', async () => {
    await using h = await watched();
    await h.put(SUDO_CONF, `Plugin sudoers_policy sudoers.so\n${CONF}`);
    assert.equal(await h.loads(), OWN.build);
  });
});

describe('while another version is put in the place of an agent that runs', () => {
  it('the plugin counts after each single file, the old one and then the new one', async () => {
    await using h = await watched();
    const seen = [await h.loads()];
    for (const [path, text] of [
      [PROGRAM, 'another version'],
      [PLUGIN_RECORD, recordOf(NEXT)],
      [PLUGIN, NEXT.file],
    ] as const) {
      await h.put(path, text);
      seen.push(await h.loads());
      assert.deepEqual(
        (await readGateState(h.root, await h.known())).drift.join('\n').match(/.*identree_sudo.*/g),
        null,
      );
    }
    assert.deepEqual(seen, [OWN.build, OWN.build, OWN.build, NEXT.build]);
    assert.deepEqual(h.logged, []);
  });

  it('what is put in place while it is looked at is looked at again: what was read was never there at once', async () => {
    await using h = await watched();
    assert.equal(await h.loads(), OWN.build);
    await h.put(PROGRAM, 'another version');
    let looks = 0;
    const known = async () => {
      const plugins = await h.known();
      looks += 1;
      if (looks === 1) {
        await h.put(PLUGIN_RECORD, recordOf(NEXT));
        await h.put(PLUGIN, NEXT.file);
      }
      return plugins;
    };
    const watch = createGateWatch(h.root, PROGRAM, known, { warn: (line) => void h.logged.push(line) });
    assert.equal(await watch.loads(), NEXT.build);
    assert.deepEqual([looks, h.logged], [2, []]);
  });

  it('who looks once is not led astray either', async () => {
    await using h = await watched();
    await h.put(PROGRAM, 'another version');
    let looks = 0;
    const known = async () => {
      const plugins = await h.known();
      looks += 1;
      if (looks === 1) await h.put(PLUGIN, NEXT.file);
      if (looks === 2) await h.put(PLUGIN_RECORD, recordOf(NEXT));
      return plugins;
    };
    const { drift } = await readSettledGateState(h.root, known, { sleep: async () => {} });
    assert.deepEqual([drift.filter((line) => line.startsWith(PLUGIN)), looks], [[], 3]);
  });

  it('a program that was replaced before it asked for its path is still known by it', () => {
    assert.equal(programPath('/usr/bin/identree (deleted)'), '/usr/bin/identree');
    assert.equal(programPath('/usr/bin/identree'), '/usr/bin/identree');
  });

  it('a record alone makes no plugin count: the program has to be another one', async () => {
    await using h = await watched();
    await h.put(PLUGIN_RECORD, recordOf(NEXT));
    await h.put(PLUGIN, NEXT.file);
    assert.equal(await h.loads(), null);
    assert.match((await readGateState(h.root, await h.known())).drift.join('\n'), /is not the one that belongs/);
  });

  for (const [name, record] of [
    ['names another plugin', recordOf(plugin('c'.repeat(32)))],
    ['is cut short', recordOf(NEXT).slice(0, 60)],
    ['is empty', ''],
  ] as const)
    it(`a new plugin whose record ${name} does not count`, async () => {
      await using h = await watched();
      await h.put(PROGRAM, 'another version');
      await h.put(PLUGIN_RECORD, record);
      await h.put(PLUGIN, NEXT.file);
      assert.equal(await h.loads(), null);
    });

  it('the new plugin has to be what its record says, to the last byte', async () => {
    await using h = await watched();
    await h.put(PROGRAM, 'another version');
    await h.put(PLUGIN_RECORD, recordOf(NEXT));
    await h.put(PLUGIN, `${NEXT.file}, and more`);
    assert.equal(await h.loads(), null);
    assert.match((await readGateState(h.root, await h.known())).drift.join('\n'), /was changed after it was built/);
  });

  it('who looks once, with a program that the plugin does not belong to, waits for one that is about to follow', async () => {
    await using h = await watched();
    await h.put(PLUGIN, NEXT.file);
    let slept = 0;
    const looks = async (meanwhile: () => Promise<unknown> = async () => {}) => {
      slept = 0;
      const sleep = async () => {
        slept += 1;
        await meanwhile();
      };
      const { drift } = await readSettledGateState(h.root, async () => [OWN], { sleep });
      return drift.filter((line) => line.startsWith(PLUGIN));
    };
    assert.equal((await looks()).length, 1, 'what stays wrong is said');
    assert.equal(slept, 1, 'after a second look');
    const beside = join(h.root, `${PLUGIN}.dpkg-new`);
    await writeFile(beside, OWN.file);
    assert.equal((await looks()).length, 1, 'also where it never follows');
    assert.ok(slept > 100);
    assert.deepEqual(await looks(async () => slept === 10 && rename(beside, join(h.root, PLUGIN))), []);
    assert.equal(slept, 10);
    assert.deepEqual([await looks(), slept], [[], 0], 'what is right is not waited for');
  });
});
