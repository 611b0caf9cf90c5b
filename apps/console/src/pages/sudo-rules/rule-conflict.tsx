import { Alert, Button, Group, Stack, Text } from '@mantine/core';
import { useEffect, useRef } from 'react';
import { Ago } from '../../kit/times.tsx';
import { RuleDifference } from '../../parts/rule-rows.tsx';
import type { RuleInput, SudoRule } from '../../server/api.ts';
import { rowsOfInput, whoOfInput } from '../../words/rules.ts';

const aboutOf = (rule: RuleInput) => [
  { label: 'For', values: whoOfInput(rule) },
  ...rowsOfInput(rule),
  ...(rule.description === '' ? [] : [{ label: 'Description', values: [rule.description] }]),
  { label: 'Served', values: [rule.enabled ? 'yes' : 'no'] },
];

/** Another person saved the rule meanwhile: both versions, and which one goes on. */
export function RuleConflict({
  theirs,
  mine,
  onTakeTheirs,
  onKeepMine,
}: {
  theirs: SudoRule;
  mine: RuleInput;
  onTakeTheirs: () => void;
  onKeepMine: () => void;
}) {
  // It stands above the form, and whoever saved is below it.
  const box = useRef<HTMLDivElement>(null);
  useEffect(() => box.current?.focus(), []);
  return (
    <Alert
      ref={box}
      tabIndex={-1}
      className="tone tone-yellow"
      color="yellow"
      variant="light"
      role="alert"
      title="Somebody else changed this rule"
    >
      <Stack gap="md">
        <Text size="sm" className="break">
          {theirs.updatedBy} saved another version <Ago at={theirs.updatedAt} />. Yours is not saved.
        </Text>
        <RuleDifference before={aboutOf(theirs.rule)} after={aboutOf(mine)} names={['Theirs', 'Yours']} />
        <Group gap="sm">
          <Button variant="default" size="xs" onClick={onTakeTheirs}>
            Load their version
          </Button>
          <Button variant="default" size="xs" onClick={onKeepMine}>
            Keep mine, to replace theirs
          </Button>
        </Group>
      </Stack>
    </Alert>
  );
}
