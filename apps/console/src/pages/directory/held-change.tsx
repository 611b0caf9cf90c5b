import { Stack, Text } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { MarkedText } from '../../kit/command-text.tsx';
import { RuleDifference, RuleRows } from '../../parts/rule-rows.tsx';
import { api, type Hold } from '../../server/api.ts';
import { rowsOfClaims, rowsOfInput } from '../../words/rules.ts';
import { nameOfMember, ownerText } from './hold-words.ts';

type Detail<K extends Hold['kind']> = Extract<Hold, { kind: K }>['detail'];
type Members = Detail<'power_member'>['added'];

/** People by the name that hosts know, the name at the source where it differs, and what cannot be forged. */
function MemberList({ members, count }: { members: Members; count: number }) {
  return (
    <ul className="plain-list member-list">
      {members.map((member) => (
        <li key={member.subject}>
          <strong>
            <MarkedText text={nameOfMember(member)} />
          </strong>
          {member.account === null && ' (no account on hosts)'}
          {member.account !== null && member.account !== member.username && (
            <>
              , at the source <MarkedText text={member.username} />
            </>
          )}{' '}
          <span className="subject">{member.subject}</span>
        </li>
      ))}
      {count > members.length && <li className="said">and {count - members.length} more</li>}
    </ul>
  );
}

function StoredRules({ group, names }: { group: string; names: readonly string[] }) {
  const rules = useQuery(api.sudoRules.list.queryOptions());
  return names.map((name) => {
    const stored = rules.data?.find((one) => one.name === name);
    return (
      <div key={name}>
        <Text size="sm" fw={600} mb="xs">
          By the rule {name}, members of <MarkedText text={group} /> may run
        </Text>
        {stored ? (
          <RuleRows rows={rowsOfInput(stored.rule)} />
        ) : (
          <Text size="sm" c="dimmed">
            {rules.isPending ? 'Loading the rule' : 'The rule is not there any more.'}
          </Text>
        )}
      </div>
    );
  });
}

/** What grows is what others may do. */
function RunAs({ group, names }: { group: string; names: readonly string[] }) {
  return names.map((name) => (
    <Text key={name} size="sm">
      Those whom the rule <MarkedText text={name} /> is for may run its commands as members of{' '}
      <MarkedText text={group} />, and then as them too.
    </Text>
  ));
}

/** What hosts give by files of their own. */
function LocalPower({ local }: { local: Detail<'power_name'>['local'] }) {
  if (local.length === 0) return null;
  return (
    <div>
      <Text size="sm" fw={600} mb="xs">
        Hosts give it by files of their own
      </Text>
      <ul className="plain-list member-list">
        {local.map(({ host, type, name, gives, file, line }) => (
          <li key={JSON.stringify([host, type, name, gives, file, line])}>
            <strong>{host}</strong>: <MarkedText text={`${type} ${name}: ${gives}`} />{' '}
            <span className="subject">
              {file}
              {line !== null && `:${line}`}
            </span>
          </li>
        ))}
      </ul>
    </div>
  );
}

function Vanishing({ label, part, of }: { label: string; part: Detail<'mass_change'>['users']; of: string }) {
  if (part.count === 0) return null;
  const more = part.count - part.names.length;
  return (
    <>
      <dt>{label}</dt>
      <dd>
        <strong>
          {part.count.toLocaleString('en')} of {part.before.toLocaleString('en')} {of}
        </strong>
        <div className="name-cloud">
          {part.names.map((name) => (
            <span key={name}>
              <MarkedText text={name} />
            </span>
          ))}
          {more > 0 && <span className="said">and {more.toLocaleString('en')} more</span>}
        </div>
      </dd>
    </>
  );
}

/** Whom and what a held change is about, whole. The card shows it, and the dialog repeats it. */
export function HeldChange({ hold }: { hold: Hold }) {
  switch (hold.kind) {
    case 'power_member': {
      const { group, claims, rules, runAs, local, added, count } = hold.detail;
      return (
        <Stack gap="md">
          <div>
            <Text size="sm" fw={600} mb="xs">
              New in <MarkedText text={group} />
            </Text>
            <MemberList members={added} count={count} />
          </div>
          {claims.sudoCommands !== undefined && (
            <div>
              <Text size="sm" fw={600} mb="xs">
                Members of <MarkedText text={group} /> may run
              </Text>
              <RuleRows rows={rowsOfClaims(claims)} />
            </div>
          )}
          <StoredRules group={group} names={rules} />
          <RunAs group={group} names={runAs} />
          <LocalPower local={local} />
        </Stack>
      );
    }
    case 'power_name': {
      const { name, rules, runAs, local, gains, count } = hold.detail;
      return (
        <Stack gap="md">
          <div>
            <Text size="sm" fw={600} mb="xs">
              Gains by the name <MarkedText text={name} />
            </Text>
            <MemberList members={gains} count={count} />
          </div>
          <StoredRules group={name} names={rules} />
          <RunAs group={name} names={runAs} />
          <LocalPower local={local} />
        </Stack>
      );
    }
    case 'new_host': {
      const { host, rules, local } = hold.detail;
      return (
        <Stack gap="md">
          {rules.map(({ rule, pattern, commands, to }) => (
            <div key={rule}>
              <Text size="sm" fw={600} mb="xs" className="break">
                <MarkedText text={`${pattern} of the rule ${rule} would mean ${host}`} />
              </Text>
              <dl className="facts compact">
                <dt>For</dt>
                <dd>
                  <MarkedText text={to.join(', ')} />
                </dd>
                <dt>Commands</dt>
                <dd>
                  <MarkedText text={commands.join(', ')} />
                </dd>
              </dl>
            </div>
          ))}
          <LocalPower local={local} />
        </Stack>
      );
    }
    case 'host_report': {
      const { waiting, count, local } = hold.detail;
      return (
        <Stack gap="md">
          <div>
            <Text size="sm" fw={600} mb="xs">
              Kept waiting by it
            </Text>
            <div className="name-cloud">
              {waiting.map((subject) => (
                <span key={subject}>
                  <MarkedText text={subject} />
                </span>
              ))}
              {count > waiting.length && <span className="said">and {count - waiting.length} more</span>}
            </div>
          </div>
          <LocalPower local={local} />
        </Stack>
      );
    }
    case 'power_rule': {
      const { before, after, members, count } = hold.detail;
      return (
        <Stack gap="md">
          {before.sudoCommands === undefined ? (
            <RuleRows rows={rowsOfClaims(after)} />
          ) : (
            <RuleDifference before={rowsOfClaims(before)} after={rowsOfClaims(after)} />
          )}
          <div>
            <Text size="sm" fw={600} mb="xs">
              {count === 0 ? 'Nobody is a member now' : 'It would hold for'}
            </Text>
            <MemberList members={members} count={count} />
          </div>
        </Stack>
      );
    }
    case 'binding': {
      const { person, from, to, returning } = hold.detail;
      const owner = ownerText(hold.detail);
      return (
        <Stack gap="md">
          {owner !== null && (
            <Text size="sm" fw={600} className="break">
              <MarkedText text={owner} />
            </Text>
          )}
          <dl className="facts compact">
            <dt>Account</dt>
            <dd>
              {from === null ? (
                <code>{to}</code>
              ) : (
                <>
                  <code>{from}</code> {returning ? 'until they were gone' : 'now'}, then <code>{to}</code>
                </>
              )}
            </dd>
            <dt>At the source</dt>
            <dd>
              <MarkedText text={person.username} />
            </dd>
            <dt>Subject</dt>
            <dd>
              <code>{person.subject}</code>
            </dd>
            <dt>Signs in at</dt>
            <dd>
              <code>{person.issuer}</code>
            </dd>
            {hold.detail.owner && (
              <>
                <dt>Of the other</dt>
                <dd>
                  <code>{hold.detail.owner.subject}</code>
                </dd>
              </>
            )}
          </dl>
        </Stack>
      );
    }
    case 'mass_change': {
      const { users, groups, memberships } = hold.detail;
      return (
        <dl className="facts compact">
          <Vanishing label="People" part={users} of="people" />
          <Vanishing label="Groups" part={groups} of="groups" />
          <Vanishing label="Members" part={memberships} of="memberships" />
        </dl>
      );
    }
  }
}
