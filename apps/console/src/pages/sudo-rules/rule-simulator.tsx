import { Autocomplete, Button, Card, Group, SimpleGrid, Stack, Text, TextInput } from '@mantine/core';
import { skipToken, useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { QueryState } from '../../kit/query-state.tsx';
import { api, type DirectoryStatus, queryClient } from '../../server/api.ts';
import { SimulatedResult } from './simulated-result.tsx';

const valuesOf = (text: string) => text.split(/[\s,]+/).filter((value) => value !== '');

interface Ask {
  user: string;
  groups: string;
  host: string;
  addresses: string;
  command: string;
  runAsUser: string;
  runAsGroup: string;
}

/** What sudo would say to one command, by the rules that hosts see now. Nothing runs and nobody is asked. */
export function Simulator({ status }: { status: DirectoryStatus }) {
  const hosts = useQuery(api.hosts.list.queryOptions());
  const [ask, setAsk] = useState<Ask>({
    user: '',
    groups: '',
    host: '',
    addresses: '',
    command: '',
    runAsUser: '',
    runAsGroup: '',
  });
  const [more, setMore] = useState(false);
  const [asked, setAsked] = useState<(Ask & { nth: number }) | null>(null);
  const bridge = status.source === null;
  const answer = useQuery(
    api.sudoRules.simulate.queryOptions(
      asked === null
        ? skipToken
        : {
            user: {
              name: asked.user.trim(),
              groups: !bridge && asked.groups.trim() === '' ? null : valuesOf(asked.groups),
            },
            host: { names: namesOf(asked.host.trim()), addresses: valuesOf(asked.addresses) },
            command: asked.command.trim(),
            runAsUser: asked.runAsUser.trim() || 'root',
            runAsGroup: asked.runAsGroup.trim() || null,
          },
    ),
  );
  const set = (field: keyof Ask) => (value: string) => setAsk({ ...ask, [field]: value });
  const text = (field: keyof Ask) => ({
    value: ask[field],
    autoComplete: 'off',
    autoCapitalize: 'off',
    spellCheck: false,
    onChange: (event: { currentTarget: { value: string } }) => set(field)(event.currentTarget.value),
  });
  const relative = ask.command.trim() !== '' && !ask.command.trim().startsWith('/');
  const ready = ask.user.trim() !== '' && ask.host.trim() !== '' && ask.command.trim() !== '' && !relative;
  return (
    <Stack gap="md">
      <Card withBorder radius="lg" padding="lg">
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (!ready) return;
            setAsked({ ...ask, nth: (asked?.nth ?? 0) + 1 });
            void queryClient.invalidateQueries({ queryKey: api.sudoRules.simulate.pathKey() });
          }}
        >
          <Stack gap="md">
            <Text size="sm" c="dimmed">
              What would sudo say? By the rules that hosts see now. Nothing runs and nobody is asked.
            </Text>
            <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
              <TextInput {...text('user')} label="User" placeholder="alice" maxLength={64} />
              <TextInput
                {...text('groups')}
                label="Groups"
                description={
                  bridge ? 'As the host has them, with blanks between.' : 'Empty: those that the directory knows.'
                }
                inputWrapperOrder={['label', 'input', 'description', 'error']}
                maxLength={1000}
              />
              <Autocomplete
                label="Host"
                placeholder="web1.example.com"
                value={ask.host}
                maxLength={253}
                autoComplete="off"
                spellCheck={false}
                data={
                  hosts.data?.hosts.filter(({ state }) => state !== 'revoked').map(({ hostname }) => hostname) ?? []
                }
                onChange={set('host')}
              />
              <TextInput {...text('runAsUser')} label="Run as user" placeholder="root" maxLength={64} />
            </SimpleGrid>
            <TextInput
              {...text('command')}
              label="Command"
              placeholder="/usr/bin/systemctl restart nginx"
              maxLength={4096}
              classNames={{ input: 'mono' }}
              error={relative ? 'With its whole path: sudo looks the program up first.' : undefined}
            />
            {more && (
              <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
                <TextInput {...text('runAsGroup')} label="Run as group" description="sudo -g" maxLength={64} />
                <TextInput
                  {...text('addresses')}
                  label="Addresses of the host"
                  description="With the length of the network: 10.1.2.3/24"
                  maxLength={1000}
                />
              </SimpleGrid>
            )}
            <Button
              variant="subtle"
              size="compact-sm"
              className="text-button"
              aria-expanded={more}
              onClick={() => setMore(!more)}
            >
              {more ? 'Fewer details' : 'More details'}
            </Button>
            <Group justify="flex-end" className="dialog-actions">
              <Button type="submit" disabled={!ready} loading={answer.isFetching}>
                Try it
              </Button>
            </Group>
          </Stack>
        </form>
      </Card>
      {asked !== null && (
        <QueryState query={answer} label="Trying the command">
          {(result) => <SimulatedResult key={asked.nth} result={result} />}
        </QueryState>
      )}
    </Stack>
  );
}

/** sudo goes by the full name and the short one. */
function namesOf(host: string): string[] {
  const short = host.split('.')[0]!;
  return short === host || /^[0-9]+$/.test(short) ? [host] : [host, short];
}
