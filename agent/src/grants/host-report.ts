import { type HostReport, hostReport, type LocalGrant, localGrant, MAX_REPORT_BYTES } from '#shared/host-api.ts';
import { visibleText } from '#shared/visible-text.ts';
import { readGateState } from '../setup/gate-state.ts';
import type { PluginIdentity } from '../version.ts';
import { type Given, type Grant, isUnread } from './grant.ts';
import { powerfulGroups } from './groups.ts';
import { createHostFiles } from './host-files.ts';
import { readGateSettings, readGrants } from './read-grants.ts';

/** Of whom a directory could come to have the name or number. Everyone is nobody in particular; netgroups are not served to be one. */
const TYPES = ['user', 'group', 'uid', 'gid'] as const;
const isNamed = (type: Given['who']['type']): type is LocalGrant['type'] => (TYPES as readonly string[]).includes(type);

const cutTo = (text: string, max: number): string => (text.length > max ? `${text.slice(0, max - 1)}…` : text);

const MAX_ACCOUNTS = 1000;

/** A grant as it is told; null when its name could be none of a directory. */
function toldOf({ who, gives, file, line }: Given): LocalGrant | null {
  if (!isNamed(who.type)) return null;
  const told = {
    type: who.type,
    name: who.name,
    gives: cutTo(visibleText(gives), 200),
    file: cutTo(visibleText(file), 256),
    line,
  };
  return localGrant.safeParse(told).data ?? null;
}

/**
 * In the order in which they may be left out, the last ones first: many lines for one name must not keep another name out,
 * and nobody of a directory comes to be called like a local account as easily as like a group that nobody has yet.
 */
function firstOfEach(grants: readonly LocalGrant[], accounts: ReadonlySet<string>): LocalGrant[] {
  const seen = new Set<string>();
  const ranked = grants.map((grant) => {
    const key = `${grant.type} ${grant.name}`;
    const again = seen.has(key);
    seen.add(key);
    return { grant, rank: again ? 2 : grant.type === 'user' && accounts.has(grant.name) ? 1 : 0 };
  });
  return ranked.sort((a, b) => a.rank - b.rank).map(({ grant }) => grant);
}

/** Local accounts: name, uid, gid. */
function accountsOf(passwd: string): HostReport['accounts'] {
  return passwd.split('\n').flatMap((line): HostReport['accounts'] => {
    const [name = '', , uid = '', gid = ''] = line.split(':');
    if (!/^[0-9]+$/.test(uid) || !/^[0-9]+$/.test(gid) || uid === '0') return [];
    return [[name, Number(uid), Number(gid)]];
  });
}

/**
 * What this host tells its server: to which names and numbers its files give power, its local accounts, and what is odd
 * at its gate. In an order that depends on nothing but the files.
 *
 * @param root folder of the host's files; `/` on the host itself
 * @param plugins those that belong to this agent
 */
export async function readHostReport(root: string, plugins: readonly PluginIdentity[]): Promise<HostReport> {
  const files = createHostFiles(root);
  const grants: Grant[] = [...(await readGrants(root)), ...(await powerfulGroups(files))];
  const passwd = await files.read('/etc/passwd');
  const gate = await readGateState(root, plugins);
  const { everywhere, forSome } = gate.gate === null ? { everywhere: [], forSome: [] } : await readGateSettings(root);
  const drift = [...gate.drift, ...everywhere, ...forSome];
  const accounts = passwd === null || 'problem' in passwd ? [] : accountsOf(passwd.text);
  const said = firstOfEach(
    grants.flatMap((grant) => (isUnread(grant) ? [] : (toldOf(grant) ?? []))),
    new Set(accounts.map(([name]) => name)),
  );
  const unread = grants.filter(isUnread).length + (passwd !== null && 'problem' in passwd ? 1 : 0);
  const whole: HostReport = {
    v: 1,
    grants: said.slice(0, 300),
    accounts: accounts.slice(0, MAX_ACCOUNTS),
    unread,
    drift: drift.slice(0, 20).map((text) => cutTo(visibleText(text), 300)),
    cut: said.length > 300 || accounts.length > MAX_ACCOUNTS,
  };
  // Names that files give power to are what matters most, so accounts give way to them.
  const report = {
    ...whole,
    accounts: whole.accounts.filter((one) => hostReport.shape.accounts.element.safeParse(one).success),
  };
  const bytes = () => Buffer.byteLength(JSON.stringify(report));
  while (bytes() > MAX_REPORT_BYTES) {
    report.cut = true;
    const list = report.accounts.length > 0 ? report.accounts : report.grants;
    list.splice(-Math.ceil(list.length / 10));
  }
  return report;
}
