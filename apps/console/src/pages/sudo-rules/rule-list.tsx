import { Button, Stack, Text, Title } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { EmptyState } from '../../kit/empty-state.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { api, type DirectoryStatus, type ServedRule, type SudoRule } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { rowsOfServed, whoOf } from '../../words/rules.ts';
import { DeleteRuleDialog } from './delete-rule-dialog.tsx';
import { RuleCard, StoredRule } from './rule-card.tsx';

const byName = (a: { name: string }, b: { name: string }) => a.name.localeCompare(b.name);

function StoredRules({
  served,
  edit,
}: {
  served: readonly ServedRule[] | undefined;
  edit: (rule: SudoRule | null) => void;
}) {
  const rules = useQuery(api.sudoRules.list.queryOptions());
  const lints = useQuery(api.directory.lints.queryOptions());
  const mayChange = useMayChange();
  const [removing, setRemoving] = useState<SudoRule | null>(null);
  // A rule of a group's claims may have had the name first.
  const isServed = ({ name }: SudoRule) =>
    served === undefined
      ? null
      : served.some(
          ({ source, cn }) =>
            source === 'store' &&
            (cn === name || (cn.startsWith(`${name}-`) && /^[0-9]+$/.test(cn.slice(name.length + 1)))),
        );
  return (
    <QueryState query={rules} label="Loading rules">
      {(list) => (
        <>
          {list.length === 0 ? (
            <EmptyState text="No rules yet. Until there is one, nobody gets sudo from this console.">
              {mayChange && <Button onClick={() => edit(null)}>Make the first rule</Button>}
            </EmptyState>
          ) : (
            <Stack gap="md" component="ul" className="plain-list">
              {[...list].sort(byName).map((rule) => (
                <StoredRule
                  key={rule.id}
                  rule={rule}
                  served={isServed(rule)}
                  lints={lints.data?.filter(({ subject }) => subject === `rule ${rule.name}`) ?? []}
                  edit={() => edit(rule)}
                  remove={() => setRemoving(rule)}
                />
              ))}
            </Stack>
          )}
          <DeleteRuleDialog about={removing} close={() => setRemoving(null)} />
        </>
      )}
    </QueryState>
  );
}

function ClaimRules({ rules }: { rules: readonly ServedRule[] }) {
  if (rules.length === 0) return <EmptyState text="No group has the claim sudoCommands, so none has a rule." />;
  return (
    <Stack gap="md" component="ul" className="plain-list">
      {[...rules]
        .sort((a, b) => a.cn.localeCompare(b.cn))
        .map((rule) => (
          <RuleCard key={rule.cn} name={rule.cn} who={whoOf(rule.sudoUsers)} rows={rowsOfServed(rule)} />
        ))}
    </Stack>
  );
}

const WHERE_CLAIMS: Record<NonNullable<DirectoryStatus['source']>, string> = {
  pocketid: 'as custom claims of its group in PocketID',
  scim: 'by the SCIM client that pushes its group',
  file: 'as customClaims of its group in the directory file',
};

/** The rules that hosts get: those of this console, and those of claims, each where the server takes rules from it. */
export function Rules({ status, edit }: { status: DirectoryStatus; edit: (rule: SudoRule | null) => void }) {
  const served = useQuery(api.sudoRules.served.queryOptions());
  const fromClaims = status.source !== null && status.sudoSource !== 'store';
  const fromStore = status.sudoSource !== 'claims';
  return (
    <Stack gap="xl">
      {fromStore && (
        <section aria-labelledby={fromClaims ? 'stored' : undefined}>
          {fromClaims && (
            <Title order={2} size="h4" mb="md" id="stored">
              From this console
            </Title>
          )}
          <StoredRules served={served.data} edit={edit} />
        </section>
      )}
      {fromClaims && status.source !== null && (
        <section aria-labelledby="claimed">
          <Title order={2} size="h4" id="claimed">
            From claims of groups
          </Title>
          <Text size="sm" c="dimmed" mb="md">
            Read-only here. Each is written {WHERE_CLAIMS[status.source]}: sudoCommands, and where needed sudoHosts,
            sudoRunAsUser, sudoRunAsGroup and sudoOptions. Changes wait under Directory until an administrator lets them
            through.
          </Text>
          <QueryState query={served} label="Loading rules">
            {(list) => <ClaimRules rules={list.filter(({ source }) => source === 'claims')} />}
          </QueryState>
        </section>
      )}
    </Stack>
  );
}
