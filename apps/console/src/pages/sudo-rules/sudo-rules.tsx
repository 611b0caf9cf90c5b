import { ActionIcon, Alert, Badge, Button, Card, Group, Menu, Stack, Tabs, Text, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconDots, IconDownload, IconFileImport, IconPencil, IconPlus, IconTrash } from '@tabler/icons-react';
import { useQuery } from '@tanstack/react-query';
import { type ReactNode, useState } from 'react';
import { MarkedText } from '../../kit/command-text.tsx';
import { EmptyState } from '../../kit/empty-state.tsx';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { Ago } from '../../kit/times.tsx';
import { NoDirectory } from '../../parts/no-directory.tsx';
import { RuleRows } from '../../parts/rule-rows.tsx';
import { useQueryValue } from '../../router.tsx';
import {
  api,
  browserClient,
  type DirectoryStatus,
  type Lint,
  messageOf,
  type ServedRule,
  type SudoRule,
} from '../../server/api.ts';
import { useServerNow } from '../../server/clock.ts';
import { useDirectoryStatus } from '../../server/directory-status.ts';
import { useMayChange } from '../../server/me.ts';
import { FINDINGS } from '../../words/directory.ts';
import { type RuleRow, rowsOfInput, rowsOfServed, whoOf, whoOfInput, whoText } from '../../words/rules.ts';
import { DeleteRuleDialog } from './delete-rule-dialog.tsx';
import { RuleDialog } from './rule-dialog.tsx';
import { ImportDialog } from './rule-import-dialog.tsx';
import { Simulator } from './rule-simulator.tsx';

function RuleCard({
  name,
  who,
  rows,
  badge,
  description,
  foot,
  children,
}: {
  name: string;
  who: readonly string[];
  rows: readonly RuleRow[];
  badge?: ReactNode;
  description?: string;
  foot?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <Card component="li" withBorder radius="lg" padding="lg">
      <Group justify="space-between" align="flex-start" gap="md" mb="md" wrap="wrap">
        <div className="grow">
          <Group gap="xs">
            <Title order={3} size="h5" className="break">
              {name}
            </Title>
            {badge}
          </Group>
          <Text size="sm" className="break">
            For <MarkedText text={whoText(who)} />
          </Text>
          {description && (
            <Text size="sm" c="dimmed" className="break">
              <MarkedText text={description} />
            </Text>
          )}
        </div>
        {children}
      </Group>
      <RuleRows rows={rows} />
      {foot}
    </Card>
  );
}

/** Whether hosts get a rule of the database, and if not, why. */
function StoredBadge({ rule, served }: { rule: SudoRule; served: boolean | null }) {
  const now = useServerNow(5000);
  const { enabled, notBefore, notAfter } = rule.rule;
  const badge = (tone: string, text: string) => (
    <Badge className={`tone tone-${tone}`} variant="light" color={tone}>
      {text}
    </Badge>
  );
  if (!enabled) return badge('gray', 'Switched off');
  if (notBefore !== null && now < notBefore) return badge('indigo', 'Not yet');
  if (notAfter !== null && now >= notAfter) return badge('gray', 'Has ended');
  return served === false ? badge('red', 'Not served') : null;
}

function StoredRule({
  rule,
  served,
  lints,
  edit,
  remove,
}: {
  rule: SudoRule;
  served: boolean | null;
  lints: readonly Lint[];
  edit: () => void;
  remove: () => void;
}) {
  const mayChange = useMayChange();
  return (
    <RuleCard
      name={rule.name}
      who={whoOfInput(rule.rule)}
      rows={rowsOfInput(rule.rule)}
      badge={<StoredBadge rule={rule} served={served} />}
      description={rule.rule.description}
      foot={
        <>
          {lints.length > 0 && (
            <ul className="plain-list rule-findings">
              {lints.map((lint) => (
                <li key={`${lint.code} ${lint.detail}`} className="break">
                  <strong>{FINDINGS[lint.code].title}:</strong> <MarkedText text={lint.detail} />
                </li>
              ))}
            </ul>
          )}
          <Text size="sm" c="dimmed" mt="md">
            {rule.revision === 1 ? 'Made' : 'Changed'} by {rule.updatedBy} <Ago at={rule.updatedAt} />
          </Text>
        </>
      }
    >
      {mayChange && (
        <Group gap="xs">
          <Button
            variant="default"
            size="xs"
            leftSection={<IconPencil size={16} />}
            aria-label={`Edit ${rule.name}`}
            onClick={edit}
          >
            Edit
          </Button>
          <Button
            variant="default"
            size="xs"
            leftSection={<IconTrash size={16} />}
            aria-label={`Delete ${rule.name}`}
            onClick={remove}
          >
            Delete
          </Button>
        </Group>
      )}
    </RuleCard>
  );
}

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

function Rules({ status, edit }: { status: DirectoryStatus; edit: (rule: SudoRule | null) => void }) {
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

/** Gives the rules of the database as a file, in the format that the import takes. */
async function exportRules(): Promise<void> {
  try {
    const content = await browserClient.sudoRules.export.query();
    const link = document.createElement('a');
    link.href = URL.createObjectURL(new Blob([content], { type: 'application/json' }));
    link.download = 'sudorules.json';
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } catch (error) {
    notifications.show({ color: 'red', message: messageOf(error) });
  }
}

/** Who may run what as whom: the rules, and what sudo would say by them. Administrators only. */
export default function SudoRulesPage() {
  const query = useDirectoryStatus();
  const mayChange = useMayChange();
  const [tab, setTab] = useQueryValue('tab');
  const [editing, setEditing] = useState<{ rule: SudoRule | null } | null>(null);
  const [importing, setImporting] = useState(false);
  const editable = mayChange && query.data && query.data.sudoSource !== 'claims';
  return (
    <>
      <PageHeader title="Sudo rules" text="Who may run what as root, before anybody is asked to approve it.">
        {editable && (
          <Group gap="xs" wrap="nowrap">
            <Button leftSection={<IconPlus size={18} />} onClick={() => setEditing({ rule: null })}>
              New rule
            </Button>
            <Menu position="bottom-end" shadow="md">
              <Menu.Target>
                <ActionIcon variant="default" size={36} aria-label="Import and export">
                  <IconDots size={18} />
                </ActionIcon>
              </Menu.Target>
              <Menu.Dropdown>
                <Menu.Item leftSection={<IconFileImport size={16} />} onClick={() => setImporting(true)}>
                  Import rules
                </Menu.Item>
                <Menu.Item leftSection={<IconDownload size={16} />} onClick={() => void exportRules()}>
                  Export rules
                </Menu.Item>
              </Menu.Dropdown>
            </Menu>
          </Group>
        )}
      </PageHeader>
      <QueryState query={query} label="Loading sudo rules">
        {(status) =>
          status === null ? (
            <NoDirectory>Sudo rules are part of the directory that hosts ask.</NoDirectory>
          ) : (
            <>
              {!mayChange && status.sudoSource !== 'claims' && (
                <Alert className="tone tone-indigo" variant="light" mb="md">
                  Rules are changed in the browser, not in the desktop app.
                </Alert>
              )}
              <Tabs
                value={tab === 'try' ? 'try' : 'rules'}
                keepMounted={false}
                onChange={(next) => setTab(next === 'try' ? 'try' : null)}
              >
                <Tabs.List aria-label="Parts of sudo rules" mb="lg">
                  <Tabs.Tab value="rules">Rules</Tabs.Tab>
                  <Tabs.Tab value="try">Try a command</Tabs.Tab>
                </Tabs.List>
                <Tabs.Panel value="rules">
                  <Rules status={status} edit={(rule) => setEditing({ rule })} />
                </Tabs.Panel>
                <Tabs.Panel value="try">
                  <Simulator status={status} />
                </Tabs.Panel>
              </Tabs>
            </>
          )
        }
      </QueryState>
      <RuleDialog opened={editing !== null} rule={editing?.rule ?? null} close={() => setEditing(null)} />
      <ImportDialog about={importing} close={() => setImporting(false)} />
    </>
  );
}
