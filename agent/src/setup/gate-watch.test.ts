import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { createHostTree } from '../testing/host-tree.ts';
import { createGateWatch } from './gate-watch.ts';
import { SUDO_CONF } from './sudo-conf.ts';
import { PLUGIN, SUDO_CONF_LINES } from './sudo-gate.ts';

const FILE = 'ELF abc';
const OWN = { build: 'abc', sha256: createHash('sha256').update(FILE).digest('hex') };
const CONF = `${SUDO_CONF_LINES.join('\n')}\n`;

async function watched() {
  const host = await createHostTree({ [SUDO_CONF]: CONF, [PLUGIN]: FILE });
  const logged: string[] = [];
  const watch = createGateWatch(host.root, OWN, { warn: (line) => void logged.push(line) });
  return {
    logged,
    asSetUp: watch.asSetUp,
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
    ['the plugin is altered', PLUGIN, `${FILE}, and more`],
    ['the plugin is of another build', PLUGIN, 'ELF xyz'],
  ] as const)
    it(`${name}: no, until it is as before, and the log says it once`, async () => {
      await using h = await watched();
      assert.equal(await h.asSetUp(), true);
      await h.put(path, text);
      assert.deepEqual([await h.asSetUp(), await h.asSetUp()], [false, false]);
      assert.equal(h.logged.length, 1);
      await h.put(path, path === PLUGIN ? FILE : CONF);
      assert.equal(await h.asSetUp(), true);
    });

  it('plugins of sudoers may come first', async () => {
    await using h = await watched();
    await h.put(SUDO_CONF, `Plugin sudoers_policy sudoers.so\n${CONF}`);
    assert.equal(await h.asSetUp(), true);
  });
});
