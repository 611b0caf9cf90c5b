import { NumberInput, SimpleGrid } from '@mantine/core';

/** How fast a channel is used. */
export interface Pace {
  perMinute: number;
  atOnce: number;
  foldFrom: number;
}

export function PaceFields({ pace, change }: { pace: Pace; change: (pace: Pace) => void }) {
  const number = (name: keyof Pace, min: number, max: number) => ({
    value: pace[name],
    clampBehavior: 'strict' as const,
    allowDecimal: false,
    hideControls: true,
    ...{ min, max },
    onChange: (value: number | string) => change({ ...pace, [name]: typeof value === 'number' ? value : min }),
  });
  return (
    <SimpleGrid cols={{ base: 1, sm: 3 }} spacing="md">
      <NumberInput {...number('perMinute', 1, 6000)} label="A minute" description="Most attempts in a minute." />
      <NumberInput {...number('atOnce', 1, 50)} label="At a time" description="Most attempts at a time." />
      <NumberInput {...number('foldFrom', 0, 1000)} label="Told as one" description="From so many on. 0: never." />
    </SimpleGrid>
  );
}
