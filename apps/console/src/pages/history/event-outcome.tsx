import { Badge } from '@mantine/core';
import type { EventOutcome } from '#shared/event-outcome.ts';

export const OUTCOMES: Record<EventOutcome, { color: string; text: string }> = {
  success: { color: 'green', text: 'Succeeded' },
  failure: { color: 'red', text: 'Failed' },
  unknown: { color: 'gray', text: 'Not known' },
};

/** That what an event tells of did not come about. That it did is the rule, and its sentence says so. */
export function OutcomeBadge({ outcome }: { outcome: EventOutcome }) {
  if (outcome === 'success') return null;
  const { color, text } = OUTCOMES[outcome];
  return (
    <Badge className={`tone tone-${color}`} variant="light" color={color} size="md">
      {text}
    </Badge>
  );
}
