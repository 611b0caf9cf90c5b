import { ActionIcon, Alert, Button, Group, Menu, Tabs } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconDots, IconDownload, IconFileImport, IconPlus } from '@tabler/icons-react';
import { useState } from 'react';
import { PageHeader } from '../../kit/page-header.tsx';
import { QueryState } from '../../kit/query-state.tsx';
import { NoDirectory } from '../../parts/no-directory.tsx';
import { useQueryValue } from '../../router.tsx';
import { browserClient, messageOf, type SudoRule } from '../../server/api.ts';
import { useDirectoryStatus } from '../../server/directory-status.ts';
import { useMayChange } from '../../server/me.ts';
import { RuleDialog } from './rule-dialog.tsx';
import { ImportDialog } from './rule-import-dialog.tsx';
import { Rules } from './rule-list.tsx';
import { Simulator } from './rule-simulator.tsx';

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
      <PageHeader text="Who may run what as root, before anybody is asked to approve it.">
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
