import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#shared/digest.ts';
import { LINK_TARGETS } from '../certificates/links.ts';
import type { Run } from '../platform/run.ts';
import { type Addition, linkChanges } from '../setup/addition.ts';
import type { Change } from '../setup/plan.ts';
import { isLink } from '../setup/snapshot.ts';
import { isAuthselect, NSSWITCH_FILE, withService } from './nsswitch.ts';
import type { ProbeResult } from './probe.ts';
import { SUDO_LDAP_FILE } from './sudo-ldap-conf.ts';

/** Has sudo read its rules from the directory, for hosts whose sssd asks another one. */
export function createSudoLdapAddition(
  input: { text: string; written: string | null; force: boolean; probe(): Promise<ProbeResult> },
  deps: { root: string; run: Run; ownerUid: number },
): Addition {
  const owner = { uid: deps.ownerUid, gid: deps.ownerUid };
  return {
    files: [...Object.keys(LINK_TARGETS), SUDO_LDAP_FILE, NSSWITCH_FILE],
    pending: false,
    async plan(files) {
      const before = files.get(SUDO_LDAP_FILE) ?? null;
      if (isLink(before)) return { problem: `${SUDO_LDAP_FILE} is a symbolic link. identree does not replace it.` };
      const changes: Change[] = linkChanges(files);
      if (before?.text !== input.text || (before.mode & 0o077) !== 0) {
        const isOurs = before === null || sha256(Buffer.from(before.text, 'latin1')) === input.written;
        if (!isOurs && !input.force)
          return {
            problem: `${SUDO_LDAP_FILE} is not as identree wrote it, so it stays as it is. To have identree replace it, add --force.`,
          };
        changes.push({ path: SUDO_LDAP_FILE, before, after: { text: input.text, mode: 0o600, ...owner } });
      }
      const text = await readFile(join(deps.root, NSSWITCH_FILE), 'latin1').catch(() => '');
      const wanted = withService(text, ['sudoers'], 'ldap');
      if (wanted === text) return { changes };
      const nsswitch = files.get(NSSWITCH_FILE) ?? null;
      if (isLink(nsswitch) || isAuthselect(text))
        return {
          problem: `${NSSWITCH_FILE} is managed by authselect. Give its profile the line "sudoers: files ldap" first.`,
        };
      const kept = nsswitch ?? { mode: 0o644, ...owner };
      changes.push({ path: NSSWITCH_FILE, before: nsswitch, after: { ...kept, text: wanted } });
      return { changes };
    },
    async selfTest() {
      const { output } = await deps.run('sudo', ['-V']);
      const path = /^ldap\.conf path: (.*)$/m.exec(output)?.[1]?.trim();
      if (path === undefined)
        return ['This sudo cannot read rules from a directory. Debian has one that can in the package sudo-ldap.'];
      if (path !== SUDO_LDAP_FILE) return [`This sudo reads ${path}, not ${SUDO_LDAP_FILE}.`];
      const probed = await input.probe();
      return probed.ok ? [] : [probed.problem];
    },
    async switchOver() {
      // As root it is asked nothing; but it reads every source, and complains about one that it cannot.
      const { code, output } = await deps.run('sudo', ['-n', '-l', '-U', 'root']);
      return code === 0 ? null : `sudo finds fault with its rules now: ${output}`;
    },
    switchBack: async () => undefined,
  };
}
