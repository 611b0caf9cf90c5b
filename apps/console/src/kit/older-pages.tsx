import { Button, Group } from '@mantine/core';

/**
 * The way through a list of which the server gives a page at a time: back to its beginning, and on to what is older.
 *
 * @param before the place in the list that is shown; null: its beginning
 * @param older where the next page begins; null: this is the last one
 */
export function OlderPages<Place>({
  before,
  older,
  loading,
  turnTo,
}: {
  before: Place | null;
  older: Place | null;
  loading: boolean;
  turnTo: (place: Place | null) => void;
}) {
  if (before === null && older === null) return null;
  return (
    <Group component="nav" aria-label="Pages" justify="center" gap="sm" mt="md">
      <Button variant="default" disabled={before === null} onClick={() => turnTo(null)}>
        Newest
      </Button>
      <Button variant="default" disabled={older === null} loading={loading} onClick={() => turnTo(older)}>
        Older
      </Button>
    </Group>
  );
}
