import { Table, Text } from '@mantine/core';
import type { Unreadable } from './arrange.ts';

function Words({ entry }: { entry: Unreadable }) {
  return (
    <Text size="sm" className="break">
      <strong>This entry cannot be shown.</strong> What is stored of it cannot be read; everything else is complete.
      Tell an operator of the server: error <code className="mono">{entry.errorId}</code>.
    </Text>
  );
}

/** In place of a row of a table. */
export function UnreadableRow({ entry, columns }: { entry: Unreadable; columns: number }) {
  return (
    <Table.Tr className="unreadable">
      <Table.Td colSpan={columns}>
        <Words entry={entry} />
      </Table.Td>
    </Table.Tr>
  );
}

/** In place of what is on a card. */
export function UnreadableCard({ entry }: { entry: Unreadable }) {
  return <Words entry={entry} />;
}
