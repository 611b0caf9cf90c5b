import type { ResolvedBySudo } from '#shared/decision.ts';
import { mayChangeUntilItRuns } from '#shared/request-risk.ts';
import type { ChallengeView } from '../challenges/view.ts';
import { type Html, html } from '../pages/html.ts';
import type { Locale, Strings } from '../pages/strings.ts';
import { approversText, createNames, type Fact, factList, legend, moment, type Names, note } from './parts.ts';

/** The environment by names, on demand; what in it is notable stands beside the command. */
function environmentFact({ environment }: ResolvedBySudo, s: Strings, names: Names): Fact {
  const list = environment.names.map((name) => html`<li>${names.code(name, 'bytes')}</li>`);
  return {
    label: s.environment.label,
    value: html`<details class="details" id="environment"><summary>${s.environment.count(environment.names.length)}</summary><ul class="names">${list}</ul></details>
${environment.truncated && note(s.environment.truncated)}`,
  };
}

/** What sudo sets of this command that others do not get. */
function settingFacts(settings: NonNullable<ResolvedBySudo['settings']>, s: Strings, names: Names): (Fact | false)[] {
  const { keepsGroups, groups = [], groupsMore = 0, umask, timeoutSeconds } = settings;
  const { selinuxRole, selinuxType, apparmorProfile } = settings;
  const given = (label: string, value: string | undefined): Fact | false =>
    value !== undefined && { label, value: names.code(value) };
  const list = groups.map((group, i) => html`${i > 0 && ', '}${names.code(group)}`);
  return [
    keepsGroups === true && { label: s.groups, value: s.keepsGroups },
    groups.length > 0 && { label: s.groups, value: html`${list} ${groupsMore > 0 && note(s.more(groupsMore))}` },
    given('umask', umask),
    timeoutSeconds !== undefined && { label: s.timeLimit, value: s.endsAfter(timeoutSeconds) },
    given(s.selinuxRole, selinuxRole),
    given(s.selinuxType, selinuxType),
    given(s.apparmorProfile, apparmorProfile),
  ];
}

/** Two groups, so that nobody takes what a host merely says for something that identree knows. */
export function factGroups(view: ChallengeView, s: Strings, locale: Locale): Html {
  const { record } = view;
  const { resolved = null } = record;
  const mayChange = mayChangeUntilItRuns(record);
  const names = createNames();
  const isSudo = record.gate !== 'ssh';
  const group = record.runAs.group;
  const reported = factList([
    { label: s.reason, value: record.reason ? html`<q>${names.text(record.reason)}</q>` : note(s.notGiven) },
    { label: s.account, value: html`${names.strong(view.user)} ${note(s.uid(record.uid))}` },
    isSudo && {
      label: s.runAs,
      value: html`${names.strong(record.runAs.user)} ${group !== null && note(s.group(names.text(group)))} ${note(s.assurance[record.runAs.assurance])}`,
    },
    record.target && {
      label: s.program,
      value: html`${names.code(record.target.path, 'bytes')} ${note(s.assurance[record.target.assurance])} ${mayChange && note(s.mayChange)}`,
    },
    isSudo && { label: s.directory, value: record.cwd ? names.code(record.cwd, 'bytes') : note(s.unknown) },
    resolved && resolved.chroot !== null && { label: s.chroot, value: names.code(resolved.chroot, 'bytes') },
    resolved &&
      resolved.descriptors.length > 0 && {
        label: s.descriptors,
        value: s.descriptorsStay(resolved.descriptors.join(', '), resolved.descriptorsMore ?? 0),
      },
    ...settingFacts(resolved?.settings ?? {}, s, names),
    resolved && environmentFact(resolved, s, names),
    record.tty !== null && { label: s.terminal, value: names.code(record.tty) },
    record.origin !== null && { label: s.origin, value: names.code(record.origin) },
  ]);
  const known = factList([
    {
      label: s.person,
      value: view.userDisplayName === null ? note(s.noPerson) : names.text(view.userDisplayName),
    },
    {
      label: s.host,
      value: html`${names.strong(view.host.name)} ${view.host.group !== null && note(s.hostGroup(view.host.group))} ${note(html`<code class="id">${view.host.id.slice(0, 8)}</code>`)}`,
    },
    { label: s.asked, value: moment(view.createdAt, view.now, locale) },
    {
      label: s.approval,
      value:
        view.policy.approval === 'none'
          ? s.ruleNone(names.code(view.policy.rule))
          : s.rule(names.code(view.policy.rule), s.needs[view.policy.approval], approversText(view, s, names)),
    },
  ]);
  return html`<div class="groups"><section><h2>${s.reported(names.text(view.host.name))}</h2>${reported}</section>
<section><h2>${s.checked}</h2>${known}</section></div>
${legend(names.marks, s, s.legendElsewhere)}`;
}

/** The values that the passkey signs and the host compares again, for those who want to check. */
export function signedDetails(view: ChallengeView, s: Strings): Html {
  const { target, argvSha256, resolved = null } = view.record;
  const detailsNote = mayChangeUntilItRuns(view.record) ? s.detailsNoteMayChange : s.detailsNote;
  const id = (text: string) => html`<code class="id">${text}</code>`;
  return html`<details class="details" id="details"><summary>${s.details}</summary><p>${detailsNote}</p>${factList([
    { label: s.requestId, value: id(view.id) },
    { label: s.hostId, value: id(view.host.id) },
    { label: s.argvHash, value: id(argvSha256) },
    resolved && { label: s.environmentHash, value: id(resolved.environment.sha256) },
    target &&
      !mayChangeUntilItRuns(view.record) && {
        label: s.programFile,
        value: id(s.deviceInode(target.device, target.inode)),
      },
    target?.sha256 ? { label: s.programHash, value: id(target.sha256) } : null,
    { label: s.policyVersion, value: id(view.policy.version) },
  ])}</details>`;
}
