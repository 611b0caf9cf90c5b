import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { after, before, describe, test } from 'node:test';
import { type HostRecord, hostRecord } from '#shared/decision.ts';
import { type Host, type Suite, UID } from './lab.ts';
import { contradiction, readReports, type Surroundings } from './sudo-claims.ts';
import { JAIL, REPORT, type Sudo, type SudoLine, sudoLine } from './sudo-lines.ts';
import { agentReady, openWorld, skip, type World } from './world.ts';

/** In all under the PAM stage, over three sudos and both sets of rules: under the plugin there are two sudos. */
const LINES = Number(process.env.IDENTREE_LINES ?? (process.env.IDENTREE_LONG === '1' ? 200_000 : 2000));
/** Other lines each time, and the same again with the seed that a failure names. */
const SEED = Number(process.env.IDENTREE_SEED ?? Math.floor(Math.random() * 1_000_000_000));
/** So many runs at a time: each is mostly waiting. */
const AT_ONCE = 4;
/** Lines of which the records are fetched together. */
const BATCH = 1000;

/** A person on a lab host. */
export const alice: Surroundings = {
  gate: 'pam',
  uid: UID.alice,
  root: '1:2',
  // Debian's nobody is one of the words that are put where a user belongs; its group has another name.
  user: (name) => {
    const uid = name === 'nobody' ? 65_534 : UID[name as keyof typeof UID];
    return uid === undefined ? null : { uid, gid: uid };
  },
  group: (name) => (name in UID ? UID[name as keyof typeof UID] : null),
  hashes: new Map(),
  scripts: new Set(),
  owned: new Set(),
};

/** Two sets of rules for each sudo: as distributions come, and with what makes reading a line hard. */
const RULES: Record<'usual' | 'odd', Record<'sudo' | 'sudo-rs', string>> = {
  usual: {
    sudo: 'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", runcwd=*, runchroot=*',
    'sudo-rs': 'Defaults secure_path="/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"',
  },
  odd: {
    sudo: 'Defaults runas_default=bob, env_keep+="LD_PRELOAD PYTHONPATH FOO", runcwd=*, runchroot=*',
    'sudo-rs': 'Defaults env_keep+="LD_PRELOAD PYTHONPATH FOO"',
  },
};

async function setRules(host: Host, rules: keyof typeof RULES): Promise<void> {
  const people = 'root ALL=(ALL:ALL) ALL\n@includedir /etc/sudoers.d\n';
  await host.write('/etc/sudoers', `${RULES[rules].sudo}\n${people}`, 0o440);
  const rs = `${RULES[rules]['sudo-rs']}\n${people}alice ALL=(ALL:ALL) CWD=* SETENV: ALL\n`;
  await host.write('/etc/sudoers-rs', rs, 0o440);
}

/**
 * Puts the programs that report where the lines look for them. `sudo -i` opens no session of systemd's: it would wait
 * until the user manager of the other account has started, 90 s on a busy machine, after all that is looked at here.
 */
async function layOut(host: Host): Promise<Surroundings> {
  await host.sh(`
    sed -i '/pam_systemd/d' /etc/pam.d/common-session
    install -m 755 /usr/local/lib/lab/labreport ${REPORT}; ln -s report /usr/local/bin/alias
    install -d -o alice -g alice /home/alice/bin
    for own in own report; do install -m 755 -o alice -g alice ${REPORT} /home/alice/bin/$own; done
    ln -s ${REPORT} /home/alice/bin/link; cp ${REPORT} /home/alice/a=b
    printf '#!${REPORT}\n' > /usr/local/bin/shebang; printf '#!/home/alice/bin/own\n' > /usr/local/bin/theirs
    printf '#!/usr/bin/env own\n' > /usr/local/bin/found
    chmod 755 /usr/local/bin/shebang /usr/local/bin/theirs /usr/local/bin/found
    mkdir -p ${JAIL}/usr/local/bin ${JAIL}/usr/bin ${JAIL}/bin ${JAIL}/home/alice/bin ${JAIL}/srv
    for place in usr/local/bin usr/bin home/alice/bin; do cp ${REPORT} ${JAIL}/$place/report; done`);
  const files = await host.sh(
    `find /usr/local/bin /home/alice ${JAIL} -type f -perm /111 -exec stat -c '%d:%i %u %n' {} +`,
  );
  const hashes = new Map<string, string>();
  const scripts = new Set<string>();
  const owned = new Set<string>();
  for (const [, id, owner, path] of files.matchAll(/^(\S+) (\d+) (.*)$/gm)) {
    if (/^\/usr\/local\/bin\/(shebang|theirs|found)$/.test(path!)) scripts.add(id!);
    if (Number(owner) === UID.alice) owned.add(id!);
    const sum = (await host.sh(`sha256sum '${path}'`)).slice(0, 64);
    hashes.set(id!, Buffer.from(sum, 'hex').toString('base64url'));
  }
  return { ...alice, root: (await host.sh('stat -c %d:%i /')).trim(), hashes, scripts, owned };
}

/** Runs the lines one after the other as alice: what each of them printed, and which were not over in time. */
async function runLines(
  host: Host,
  program: string,
  lines: readonly SudoLine[],
): Promise<{ printed: Buffer[]; stuck: string }> {
  const input = lines.flatMap(({ argv, cwd, env }) => {
    const vars = Object.entries(env).map(([name, value]) => `${name}=${value}`);
    return [cwd, String(argv.length), ...argv, String(vars.length), ...vars];
  });
  const [command, args] = host.enter([], ['/usr/local/lib/lab/labruns', String(UID.alice), program]);
  const child = spawn(command, args, { stdio: 'pipe' });
  const chunks: Buffer[] = [];
  const told: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => told.push(chunk));
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stdin.on('error', () => {});
  child.stdin.end(input.map((word) => `${word}\0`).join(''));
  await new Promise((resolve) => child.on('close', resolve));
  const printed: Buffer[] = [];
  const all = Buffer.concat(chunks);
  for (let at = 0; at < all.length; ) {
    const end = all.indexOf(0x0a, at);
    const [, out = 0, errors = 0] = all.subarray(at, end).toString().split(' ').map(Number);
    printed.push(all.subarray(end + 1, end + 1 + out));
    at = end + 1 + out + errors;
  }
  assert.equal(printed.length, lines.length, 'every line was run to its end');
  return { printed, stuck: Buffer.concat(told).toString() };
}

/**
 * Tests that type lines at every sudo of a distribution, and compare what was signed with what ran.
 *
 * @param sudos each sudo, and where it is.
 * @param gate which gate the hosts have.
 */
export function testLines(suite: Suite, sudos: readonly (readonly [Sudo, string])[], gate: Surroundings['gate']): void {
  describe('what is signed is what runs, whatever is typed', { skip, concurrency: false }, () => {
    let world: World;
    let host: Host;
    let by: Surroundings;

    before(async () => {
      if (skip) return;
      world = await openWorld({ hosts: [], people: [], policy: [{ name: 'default', approval: 'none' }], sudo: gate });
      host = await world.addHost('web1', { suite });
      // What is asked here is what the record says, so nobody is kept waiting.
      await host.sh(
        'echo IDENTREE_MINIMUM_CLASS=policy >> /etc/identree/client.conf; systemctl restart identree-agent',
      );
      await agentReady(host);
      by = { ...(await layOut(host)), gate };
    });
    after(() => world?.close());

    for (const [sudo, program] of sudos) {
      for (const rules of ['usual', 'odd'] as const) {
        test(`${sudo} with ${rules} rules`, { skip }, async (t) => {
          const version = await host.exec([program, '-V']);
          assert.match(version.stdout + version.stderr, new RegExp(sudo.replace('sudo ', 'version ')));
          await setRules(host, rules);
          const found: string[] = [];
          const seen = { ran: 0, claimed: 0, unparsed: 0 };
          const count = Math.ceil(LINES / 6);
          for (let first = 0; first < count; first += BATCH) {
            const numbers = Array.from({ length: Math.min(BATCH, count - first) }, (_, i) => SEED + first + i);
            const tag = `${sudo} ${rules} `;
            const before = world.server.data.countChallenges();
            const lines = numbers.map((seed) => {
              const line = sudoLine(seed, sudo);
              return { ...line, env: { ...line.env, SUDO_REASON: `${tag}${seed}` } };
            });
            const parts = Array.from({ length: AT_ONCE }, (_, part) => lines.filter((_, i) => i % AT_ONCE === part));
            const ran = await Promise.all(parts.map((part) => runLines(host, program, part)));
            const records = new Map<string, HostRecord>();
            const unfinished: string[] = [];
            for (const row of world.server.data.challenges(before)) {
              const record = hostRecord.parse(JSON.parse(row.record));
              if (!record.reason?.startsWith(tag)) continue;
              records.set(record.reason, record);
              if (row.outcome === null || row.run_state === 'started')
                unfinished.push(`${record.reason}: ${row.status}, ${row.outcome}, ${row.run_state}`);
            }
            const stuck = ran.map((part) => part.stuck).join('');
            // Where it stands at the server tells a wait for the answer from one of sudo's own, which look alike in ps.
            assert.doesNotMatch(stuck, /not over/, `every run ended:\n${stuck}\n${unfinished.join('\n')}`);
            for (const [i, line] of lines.entries()) {
              const reports = readReports(ran[i % AT_ONCE]!.printed[Math.floor(i / AT_ONCE)]!);
              const record = records.get(line.env.SUDO_REASON!) ?? null;
              const wrong = contradiction(record, reports, by);
              if (wrong !== null)
                found.push(`${numbers[i]}: ${wrong}\n  ${JSON.stringify(line)}\n  ${JSON.stringify(record)}`);
              if (reports.length > 0) seen.ran += 1;
              if (reports.length > 0 && record?.mode === 'unparsed') seen.unparsed += 1;
              if (reports.length > 0 && record !== null && record.target !== null) seen.claimed += 1;
            }
          }
          t.diagnostic(`seed ${SEED}: ${JSON.stringify(seen)} of ${count}`);
          assert.equal(found.length, 0, `seed ${SEED}, ${found.length} lines:\n${found.slice(0, 5).join('\n')}`);
          // A gate that refuses everything, or a generator of nonsense, would pass as well.
          assert.ok(seen.ran > count / 5, `only ${seen.ran} of ${count} lines ran`);
          assert.ok(rules === 'odd' || seen.claimed > count / 20, `only ${seen.claimed} records named what ran`);
        });
      }
    }
  });
}
