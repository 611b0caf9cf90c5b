import { Card, Group, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import { IconCheck, IconX } from '@tabler/icons-react';
import { useEffect, useRef } from 'react';
import { MarkedText } from '../../kit/command-text.tsx';
import type { Simulated } from '../../server/api.ts';
import { listed } from '../../words/text.ts';

type Considered = Simulated['considered'][number];

const OUTCOMES: Record<Considered['outcome'], string> = {
  decides: 'Decides',
  other_host: 'Is for other hosts',
  other_run_as: 'Is for another user or group to run as',
  other_command: 'Is for other commands',
  overruled: 'Comes after the one that decides',
};

function outcomeOf({ outcome, delivered, needsDigest }: Considered): string {
  return [
    OUTCOMES[outcome],
    delivered ? '' : 'sssd on this host would never ask for it',
    needsDigest ? 'only while the program has the digest that the rule names' : '',
  ]
    .filter((part) => part !== '')
    .join('; ');
}

function verdictOf(result: Simulated): { tone: string; title: string; text: string } {
  switch (result.verdict) {
    case 'allowed':
      return {
        tone: result.asksForApproval ? 'green' : 'yellow',
        title: `Allowed by ${result.rule}`,
        text: result.asksForApproval
          ? 'sudo asks, so identree does: somebody has to approve it.'
          : 'With !authenticate sudo does not ask. Nobody approves it where the gate is the PAM stage; the approval plugin always asks.',
      };
    case 'denied':
      return {
        tone: 'red',
        title: `Denied by ${result.rule}`,
        text: 'The rule makes an exception for this command, and an exception wins within its rule.',
      };
    case 'no_rule':
      return { tone: 'gray', title: 'Denied: no rule allows it', text: 'sudo refuses before anybody is asked.' };
  }
}

/** What sudo would say, and by which rules. */
export function SimulatedResult({ result }: { result: Simulated }) {
  const { tone, title, text } = verdictOf(result);
  const Icon = result.verdict === 'allowed' ? IconCheck : IconX;
  // The answer to a question that was just asked: on a phone it is far below the question.
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => heading.current?.focus(), []);
  return (
    <Card component="section" withBorder radius="lg" padding="lg" aria-labelledby="verdict">
      <Stack gap="md">
        <Group gap="md" wrap="nowrap" align="flex-start">
          <ThemeIcon size={44} radius="md" variant="light" className={`tone tone-${tone}`}>
            <Icon size={24} stroke={1.75} aria-hidden="true" />
          </ThemeIcon>
          <div className="grow">
            <Title order={2} size="h4" id="verdict" className="break" tabIndex={-1} ref={heading}>
              {title}
            </Title>
            <Text size="sm">{text}</Text>
          </div>
        </Group>
        <dl className="facts compact">
          <dt>Groups</dt>
          <dd>{result.groups.length === 0 ? 'none' : <MarkedText text={listed(result.groups)} />}</dd>
          {result.verdict === 'allowed' && (
            <>
              <dt>Options</dt>
              <dd>
                {result.options.length === 0 ? (
                  'none'
                ) : (
                  <code>
                    <MarkedText text={result.options.join(', ')} />
                  </code>
                )}
              </dd>
            </>
          )}
        </dl>
        {result.considered.length === 0 ? (
          <Text size="sm" c="dimmed">
            No rule is about this person at all.
          </Text>
        ) : (
          <div>
            <Title order={3} size="h6" mb="xs">
              Rules about this person, in sudo’s order
            </Title>
            <ol className="plain-list considered">
              {result.considered.map((one) => (
                <li key={one.rule}>
                  <span className="break">
                    <strong>{one.rule}</strong> <span className="said">order {one.order}</span>
                  </span>
                  <span>{outcomeOf(one)}.</span>
                </li>
              ))}
            </ol>
          </div>
        )}
      </Stack>
    </Card>
  );
}
