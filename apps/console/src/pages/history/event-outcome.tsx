import { Badge } from '@mantine/core';
import type { EventOutcome } from '#shared/event-outcome.ts';

export const OUTCOMES: Record<EventOutcome, { color: string; text: string }> = {
  success: { color: 'green', text: 'Done' },
  failure: { color: 'red', text: 'Failed' },
  unknown: { color: 'gray', text: 'Neither' },
};

/** How what an event tells of came out, in one word; nothing where it has not come out, or its sentence says it. */
export function OutcomeBadge({ outcome }: { outcome: EventOutcome }) {
  if (outcome === 'unknown') return null;
  const { color, text } = OUTCOMES[outcome];
  return (
    <Badge className={`tone tone-${color}`} variant="light" color={color} size="md">
      {text}
    </Badge>
  );
}
