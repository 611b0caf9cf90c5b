import { posix } from 'node:path';
import { type Given, type Grant, unread, type Who } from './grant.ts';
import type { HostFiles } from './host-files.ts';

/** Where a service is looked for; what an administrator has changed stands in the first. */
const FOLDERS = ['/etc/pam.d', '/usr/lib/pam.d'];
/** Linux-PAM's own bound of includes in includes. */
const MAX_DEPTH = 32;
const LOOK = 'Look for pam_wheel in it.';

interface PamLine {
  file: string;
  line: number;
  control: string;
  module: string;
  args: string[];
}

/** Lines of a file with those that end in a backslash put together, each with the number where it begins. */
function joined(text: string): { content: string; line: number }[] {
  const out: { content: string; line: number }[] = [];
  let open: { content: string; line: number } | null = null;
  text.split('\n').forEach((raw, index) => {
    const part = raw.replace(/#.*$/, '').trimEnd();
    const more = part.endsWith('\\');
    const content = more ? part.slice(0, -1) : part;
    open = open === null ? { content, line: index + 1 } : { content: `${open.content} ${content}`, line: open.line };
    if (more) return;
    out.push(open);
    open = null;
  });
  return open === null ? out : [...out, open];
}

/** The line after this one may never be asked: success ends the stack, or jumps over what follows. */
const skipsTheRest = (control: string): boolean =>
  control === 'sufficient' || /\bsuccess=(done|[1-9]\d*)\b/.test(control);

/**
 * What `pam_wheel` gives with `trust`: members of a group become who they ask to be, and no password is asked.
 * Without `trust` it only takes away. Looked for in what `su` and its kin ask.
 */
export async function wheelGrants(files: HostFiles): Promise<Grant[]> {
  const grants: Grant[] = [];
  const seen = new Set<string>();

  /** What an include means: PAM looks for it where it looks for services, wherever the include stands. */
  async function serviceFile(name: string): Promise<string> {
    const paths = FOLDERS.map((folder) => posix.resolve(folder, name));
    for (const path of paths) if ((await files.read(path)) !== null) return path;
    return paths[0]!;
  }

  /** @returns the auth lines, with those of included files in their place. */
  async function authLines(path: string, depth: number): Promise<PamLine[]> {
    const found = await files.read(path);
    if (found === null) return [];
    if ('problem' in found || depth > MAX_DEPTH) {
      const problem = 'problem' in found ? found.problem : 'it includes itself';
      grants.push(unread('wheel', { file: path, line: null }, problem, LOOK));
      return [];
    }
    const lines: PamLine[] = [];
    for (const { content, line } of joined(found.text)) {
      const said = /^\s*(?:@include\s+(\S+)|-?auth\s+(\[[^\]]*\]|\S+)\s+(\S+)\s*(.*))$/i.exec(content);
      if (said === null) continue;
      const [, whole, control = '', module = '', args = ''] = said;
      const included = whole ?? (control === 'include' || control === 'substack' ? module : undefined);
      if (included !== undefined) lines.push(...(await authLines(await serviceFile(included), depth + 1)));
      else lines.push({ file: path, line, control, module, args: args.split(/\s+/).filter((word) => word !== '') });
    }
    return lines;
  }

  /** The group that pam_wheel asks for when nothing is said: `wheel`, else the one with number 0. */
  async function defaultGroup(): Promise<string> {
    const group = await files.read('/etc/group');
    const entries = group === null || 'problem' in group ? [] : group.text.split('\n').map((one) => one.split(':'));
    return (entries.find(([name]) => name === 'wheel') ?? entries.find(([, , gid]) => gid === '0'))?.[0] ?? 'wheel';
  }

  for (const folder of FOLDERS) {
    const names = await files.list(folder);
    if ('problem' in names) {
      grants.push(unread('wheel', { file: folder, line: null }, names.problem, LOOK));
      continue;
    }
    for (const name of names.filter((one) => one.startsWith('su') && !seen.has(one))) {
      seen.add(name);
      for (const { file, line, control, module, args } of await authLines(posix.join(folder, name), 0)) {
        if (posix.basename(module) !== 'pam_wheel.so' || !args.includes('trust')) continue;
        const named = args.findLast((arg) => arg.startsWith('group='))?.slice('group='.length);
        const group: Who = { type: 'group', name: named ?? (await defaultGroup()) };
        const target = args.includes('root_only') ? 'root' : 'any user';
        const given: Omit<Given, 'who' | 'except'> = {
          kind: 'wheel',
          gives: name.startsWith('sudo')
            ? 'what sudo rules allow them'
            : `becomes ${target} with ${name.replace(/-l$/, ' -l')}`,
          withoutPassword: skipsTheRest(control),
          file,
          line,
        };
        // `deny trust` is the reverse: everyone outside of the group is let in.
        if (args.includes('deny')) grants.push({ ...given, who: { type: 'everyone', name: '' }, except: [group] });
        else grants.push({ ...given, who: group, except: [] });
      }
    }
  }
  return grants;
}
