import { posix } from 'node:path';
import { type Grant, isRoot, unread, type Who } from './grant.ts';
import type { HostFiles } from './host-files.ts';

/** The second is of Alpine, which reads every `.conf` in it. */
const FILE = '/etc/doas.conf';
const FOLDER = '/etc/doas.d';

interface Word {
  text: string;
  quoted: boolean;
}
type Rule = { line: number; words: Word[] | null };

/**
 * The rules of a doas.conf(5): words, `"quoted ones"`, `\` before a sign or at the end of a line, `#` to the end of it.
 * The words of a rule are null when it cannot be read.
 */
function rules(text: string): Rule[] {
  const found: Rule[] = [];
  let rule: Rule = { line: 1, words: [] };
  let line = 1;
  const end = () => {
    if (rule.words === null || rule.words.length > 0) found.push(rule);
    rule = { line: line + 1, words: [] };
  };
  const tokens = /[ \t]+|#[^\n]*|\\\n|\n|[{}]|"(?:\\[^\n]|[^"\\\n])*"|(?:\\[^\n]|[^\s{}#"\\])+|[\s\S]/g;
  for (const [token] of text.matchAll(tokens)) {
    if (token === '\n') {
      end();
      line++;
    } else if (token === '\\\n') line++;
    else if (/^[ \t#]/.test(token)) continue;
    else if (token === '"' || token === '\\' || token === '\r') rule.words = null;
    else {
      const quoted = token.startsWith('"');
      const bare = quoted ? token.slice(1, -1) : token;
      rule.words?.push({ text: bare.replace(/\\([\s\S])/g, '$1'), quoted });
    }
  }
  end();
  return found;
}

const whoOf = (name: string): Who => {
  if (!name.startsWith(':')) return /^\d+$/.test(name) ? { type: 'uid', name } : { type: 'user', name };
  return /^:\d+$/.test(name) ? { type: 'gid', name: name.slice(1) } : { type: 'group', name: name.slice(1) };
};

/** `permit [options] identity [as target] [cmd command [args …]]`; null when it is not that. */
function readRule(words: readonly Word[]): { permit: boolean; nopass: boolean; who: Who; gives: string } | null {
  let at = 0;
  const keyword = (...choices: string[]): string | undefined => {
    const word = words[at];
    if (word === undefined || word.quoted || !choices.includes(word.text)) return undefined;
    at++;
    return word.text;
  };
  const action = keyword('permit', 'deny');
  if (action === undefined) return null;
  let nopass = false;
  for (;;) {
    const option = keyword('nopass', 'nolog', 'persist', 'keepenv', 'setenv');
    if (option === undefined) break;
    if (option === 'nopass') nopass = true;
    if (option !== 'setenv') continue;
    if (keyword('{') === undefined) return null;
    while (at < words.length && (words[at]!.quoted || words[at]!.text !== '}')) at++;
    if (keyword('}') === undefined) return null;
  }
  const identity = words[at++]?.text;
  if (identity === undefined || identity === '' || identity === ':') return null;
  let target = 'any user';
  if (keyword('as') !== undefined) {
    const named = words[at++]?.text;
    if (named === undefined) return null;
    target = named;
  }
  let command = 'any command';
  if (keyword('cmd') !== undefined) {
    const named = words[at++]?.text;
    if (named === undefined) return null;
    command = named;
    if (keyword('args') !== undefined) {
      const args = words.slice(at).map(({ text }) => text);
      command = args.length === 0 ? `${command} without arguments` : [command, ...args].join(' ');
      at = words.length;
    }
  }
  if (at !== words.length) return null;
  return { permit: action === 'permit', nopass, who: whoOf(identity), gives: `${command} as ${target}` };
}

/** What doas gives, rule by rule: a later `deny` may take some of it back. */
export async function doasGrants(files: HostFiles): Promise<Grant[]> {
  const grants: Grant[] = [];
  const fail = (file: string, line: number | null, why: string) =>
    grants.push(unread('doas', { file, line }, why, `doas -C ${file} says what is wrong with it.`));
  const names = await files.list(FOLDER);
  if ('problem' in names) fail(FOLDER, null, names.problem);
  const more = 'problem' in names ? [] : names.filter((name) => name.endsWith('.conf'));
  for (const file of [FILE, ...more.map((name) => posix.join(FOLDER, name))]) {
    const found = await files.read(file);
    if (found === null) continue;
    if ('problem' in found) {
      fail(file, null, found.problem);
      continue;
    }
    for (const { line, words } of rules(found.text)) {
      const rule = words === null ? null : readRule(words);
      if (rule === null) fail(file, line, 'not a rule of doas');
      else if (rule.permit && !isRoot(rule.who))
        grants.push({
          kind: 'doas',
          who: rule.who,
          except: [],
          gives: rule.gives,
          withoutPassword: rule.nopass,
          file,
          line,
        });
    }
  }
  return grants;
}
