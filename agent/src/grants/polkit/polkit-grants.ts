import { posix } from 'node:path';
import { type Given, type Grant, isRoot, unread, type Who } from '../grant.ts';
import type { HostFiles } from '../host-files.ts';
import type { Case } from './conditions.ts';
import { listOf, readKeyFile } from './pkla.ts';
import { readRulesScript } from './rules-script.ts';

/** In the order in which polkit goes by files of the same name. */
const RULES = ['/etc', '/run', '/usr/local/share', '/usr/share'].map((folder) => `${folder}/polkit-1/rules.d`);
const LOCAL = ['/etc', '/var/lib'].map((folder) => `${folder}/polkit-1/localauthority`);
const ADMINS = '/etc/polkit-1/localauthority.conf.d';
const LOOK = 'Look at it: pkcheck and the rules themselves say what it gives.';
const ADMIN_WORDS = 'what polkit asks an administrator for, with their own password';

type At = Pick<Given, 'file' | 'line'>;

/** `unix-group:sudo` and the like; null for what names nobody, or people by a pattern, which is no name of anybody. */
function whoOf(identity: string): Who | null {
  const [, kind, name] = /^unix-(user|group|netgroup):(.+)$/.exec(identity) ?? [];
  if (kind === undefined || name === undefined) return null;
  if (name === '*') return { type: 'everyone', name: '' };
  if (/[*?[\]\\]/.test(name)) return null;
  if (/^\d+$/.test(name)) return { type: kind === 'group' ? 'gid' : 'uid', name };
  return { type: kind as 'user' | 'group' | 'netgroup', name };
}

const actionWords = (actions: readonly string[]): string =>
  actions.length === 0
    ? 'every action of polkit'
    : `${actions.length === 1 ? 'action' : 'actions'} ${actions.join(', ')}`;

/** A case for each of those whom somebody has to be at once: who has the one gets power by becoming the other. */
const bySide = ({ who, ...rest }: Case) =>
  (who.length === 0 ? [{ type: 'everyone', name: '' } satisfies Who] : who).map((one, index) => {
    const others = who.filter((_, n) => n !== index).map(({ type, name }) => `who are also ${type} ${name}`);
    return { ...rest, who: one, others };
  });

/** What polkit gives: rules that say yes or ask only for the asker's own password, and who counts as an administrator. */
export async function polkitGrants(files: HostFiles): Promise<Grant[]> {
  const grants: Grant[] = [];
  const fail = (file: string, line: number | null, why: string) =>
    grants.push(unread('polkit', { file, line }, why, LOOK));
  const give = (at: At, who: Who, gives: string, withoutPassword: boolean) => {
    if (!isRoot(who)) grants.push({ kind: 'polkit', who, except: [], gives, withoutPassword, ...at });
  };

  async function each(folder: string, ending: string, read: (file: string, text: string) => void): Promise<void> {
    const names = await files.list(folder);
    if ('problem' in names) {
      fail(folder, null, names.problem);
      return;
    }
    for (const name of names.filter((one) => one.endsWith(ending))) {
      const file = posix.join(folder, name);
      const found = await files.read(file);
      if (found === null) continue;
      if ('problem' in found) fail(file, null, found.problem);
      else read(file, found.text);
    }
  }

  function administrators(at: At, identities: readonly string[]): void {
    for (const identity of identities) {
      const who = whoOf(identity);
      if (who === null) fail(at.file, at.line, `“${identity}” names no user, group or netgroup by name`);
      else give(at, who, ADMIN_WORDS, false);
    }
  }

  function script(file: string, text: string): void {
    for (const said of readRulesScript(text)) {
      const at = { file, line: said.line };
      if (said.kind === 'unread') fail(file, said.line, 'a rule in JavaScript that is not plain');
      else if (said.kind === 'administrators') administrators(at, said.identities);
      else {
        /** The same for several actions is one grant. */
        const parts = new Map<string, { who: Who; also: string[]; actions: string[] }>();
        for (const { action, who, also, others } of said.cases.flatMap(bySide)) {
          const key = JSON.stringify([who, also, others, action === null]);
          const part = parts.get(key) ?? { who, also: [...also, ...others], actions: [] };
          if (action !== null) part.actions.push(action);
          parts.set(key, part);
        }
        const asked = said.result === 'YES' ? [] : ['with their own password'];
        for (const { who, also, actions } of parts.values())
          give(at, who, [actionWords(actions), ...also, ...asked].join(', '), asked.length === 0);
      }
    }
  }

  function localAuthority(file: string, text: string): void {
    const { sections, unread: lines } = readKeyFile(text);
    for (const line of lines) fail(file, line, 'not a line of a key file');
    for (const { line, entries } of sections) {
      const results = ['ResultAny', 'ResultInactive', 'ResultActive'].map((key) => entries.get(key)?.value ?? 'no');
      const yes = results.includes('yes');
      if (!yes && !results.some((result) => result.startsWith('auth_self'))) continue;
      const actions = listOf(entries.get('Action')?.value ?? '');
      for (const identity of listOf(entries.get('Identity')?.value ?? '')) {
        const who = whoOf(identity);
        if (who === null) fail(file, line, `“${identity}” names no user, group or netgroup by name`);
        else if (actions.length > 0)
          give({ file, line }, who, `${actionWords(actions)}${yes ? '' : ', with their own password'}`, yes);
      }
    }
  }

  for (const folder of RULES) await each(folder, '.rules', script);
  for (const folder of LOCAL) {
    const below = await files.list(folder);
    if ('problem' in below) fail(folder, null, below.problem);
    else for (const name of below) await each(posix.join(folder, name), '.pkla', localAuthority);
  }
  await each(ADMINS, '.conf', (file, text) => {
    for (const { entries } of readKeyFile(text).sections) {
      const identities = entries.get('AdminIdentities');
      if (identities !== undefined) administrators({ file, line: identities.line }, listOf(identities.value));
    }
  });
  return grants;
}
