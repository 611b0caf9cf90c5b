import { Box, Button, Group, Menu, Select, TextInput } from '@mantine/core';
import { IconAdjustmentsHorizontal, IconDownload } from '@tabler/icons-react';
import { type RefObject, useId, useState } from 'react';
import { EVENT_NAMES } from '#shared/event-outcome.ts';
import { SearchBox } from '../../kit/search-box.tsx';
import {
  addressText,
  type EventFilter,
  exportAddress,
  type FilterValues,
  filterOf,
  localText,
} from './event-filter.ts';
import { OUTCOMES } from './event-outcome.tsx';

/** Which events are shown. Each field is in the address. On a phone they are behind a button, which says how many are set. */
export function EventFilters({
  values,
  change,
  top,
}: {
  values: FilterValues;
  change: (values: Partial<FilterValues>, replace: boolean) => void;
  top: RefObject<HTMLDivElement | null>;
}) {
  const moment = (name: 'from' | 'to', label: string) => (
    <TextInput
      type="datetime-local"
      label={label}
      value={localText(values[name])}
      onChange={({ currentTarget }) => change({ [name]: addressText(currentTarget.value) }, values[name] !== null)}
      w={210}
    />
  );
  const [open, setOpen] = useState(false);
  const fields = useId();
  const set = Object.values(filterOf(values)).filter((value) => value !== null).length;
  return (
    <Box tabIndex={-1} ref={top} role="group" aria-label="Filter" className="event-filters">
      <Button
        hiddenFrom="sm"
        variant="default"
        leftSection={<IconAdjustmentsHorizontal size={18} aria-hidden="true" />}
        aria-expanded={open}
        aria-controls={fields}
        onClick={() => setOpen(!open)}
      >
        {set === 0 ? 'Filters' : `Filters, ${set} set`}
      </Button>
      <Group id={fields} gap="sm" wrap="wrap" align="flex-end" className={open ? undefined : 'folded'}>
        <SearchBox
          label="User"
          placeholder="User, exactly"
          value={values.user ?? ''}
          change={(text) => change({ user: text || null }, values.user !== null)}
        />
        <SearchBox
          label="Host"
          placeholder="Host, exactly"
          value={values.host ?? ''}
          change={(text) => change({ host: text || null }, values.host !== null)}
        />
        <Select
          aria-label="Event"
          placeholder="Any event"
          data={EVENT_NAMES}
          value={values.type}
          searchable
          clearable
          clearButtonProps={{ 'aria-label': 'Any event' }}
          onChange={(type) => change({ type }, false)}
          w={260}
        />
        <Select
          aria-label="Outcome"
          data={[
            { value: '', label: 'Any outcome' },
            ...Object.entries(OUTCOMES).map(([value, { text }]) => ({ value, label: text })),
          ]}
          value={values.outcome ?? ''}
          allowDeselect={false}
          onChange={(outcome) => change({ outcome: outcome || null }, false)}
          w={160}
        />
        {moment('from', 'From')}
        {moment('to', 'To')}
      </Group>
    </Box>
  );
}

const FORMATS = [
  ['csv', 'CSV, for spreadsheets'],
  ['jsonl', 'JSON lines, as they were signed'],
  ['json', 'JSON'],
  ['ecs', 'ECS, for Elastic'],
] as const;

/** All that the filter lets through, as a file. */
export function ExportMenu({ filter }: { filter: EventFilter }) {
  return (
    <Menu position="bottom-end" shadow="md">
      <Menu.Target>
        <Button variant="default" leftSection={<IconDownload size={18} aria-hidden="true" />}>
          Export
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {FORMATS.map(([format, label]) => (
          <Menu.Item key={format} component="a" href={exportAddress(filter, format)} download>
            {label}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  );
}
