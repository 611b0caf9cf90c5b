import { Badge, Button, Card, Group, Text, Title } from '@mantine/core';
import { IconPencil, IconTrash } from '@tabler/icons-react';
import type { ReactNode } from 'react';
import { MarkedText } from '../../kit/command-text.tsx';
import { Ago } from '../../kit/times.tsx';
import { RuleRows } from '../../parts/rule-rows.tsx';
import type { Lint, SudoRule } from '../../server/api.ts';
import { useServerNow } from '../../server/clock.ts';
import { useMayChange } from '../../server/me.ts';
import { FINDINGS } from '../../words/directory.ts';
import { type RuleRow, rowsOfInput, whoOfInput, whoText } from '../../words/rules.ts';

/** A rule: for whom, what it says, and what can be done about it. */
export function RuleCard({
  name,
  who,
  rows,
  badge,
  description,
  foot,
  children,
}: {
  name: string;
  who: readonly string[];
  rows: readonly RuleRow[];
  badge?: ReactNode;
  description?: string;
  foot?: ReactNode;
  children?: ReactNode;
}) {
  return (
    <Card component="li" withBorder radius="lg" padding="lg">
      <Group justify="space-between" align="flex-start" gap="md" mb="md" wrap="wrap">
        <div className="grow">
          <Group gap="xs">
            <Title order={3} size="h5" className="break">
              {name}
            </Title>
            {badge}
          </Group>
          <Text size="sm" className="break">
            For <MarkedText text={whoText(who)} />
          </Text>
          {description && (
            <Text size="sm" c="dimmed" className="break">
              <MarkedText text={description} />
            </Text>
          )}
        </div>
        {children}
      </Group>
      <RuleRows rows={rows} />
      {foot}
    </Card>
  );
}

/** Whether hosts get a rule of the database, and if not, why. */
function StoredBadge({ rule, served }: { rule: SudoRule; served: boolean | null }) {
  const now = useServerNow(5000);
  const { enabled, notBefore, notAfter } = rule.rule;
  const badge = (tone: string, text: string) => (
    <Badge className={`tone tone-${tone}`} variant="light" color={tone}>
      {text}
    </Badge>
  );
  if (!enabled) return badge('gray', 'Switched off');
  if (notBefore !== null && now < notBefore) return badge('indigo', 'Not yet');
  if (notAfter !== null && now >= notAfter) return badge('gray', 'Has ended');
  return served === false ? badge('red', 'Not served') : null;
}

/** A rule of the database, with what was found about it. */
export function StoredRule({
  rule,
  served,
  lints,
  edit,
  remove,
}: {
  rule: SudoRule;
  served: boolean | null;
  lints: readonly Lint[];
  edit: () => void;
  remove: () => void;
}) {
  const mayChange = useMayChange();
  return (
    <RuleCard
      name={rule.name}
      who={whoOfInput(rule.rule)}
      rows={rowsOfInput(rule.rule)}
      badge={<StoredBadge rule={rule} served={served} />}
      description={rule.rule.description}
      foot={
        <>
          {lints.length > 0 && (
            <ul className="plain-list rule-findings">
              {lints.map((lint) => (
                <li key={`${lint.code} ${lint.detail}`} className="break">
                  <strong>{FINDINGS[lint.code].title}:</strong> <MarkedText text={lint.detail} />
                </li>
              ))}
            </ul>
          )}
          <Text size="sm" c="dimmed" mt="md">
            {rule.revision === 1 ? 'Made' : 'Changed'} by {rule.updatedBy} <Ago at={rule.updatedAt} />
          </Text>
        </>
      }
    >
      {mayChange && (
        <Group gap="xs">
          <Button
            variant="default"
            size="xs"
            leftSection={<IconPencil size={16} />}
            aria-label={`Edit ${rule.name}`}
            onClick={edit}
          >
            Edit
          </Button>
          <Button
            variant="default"
            size="xs"
            leftSection={<IconTrash size={16} />}
            aria-label={`Delete ${rule.name}`}
            onClick={remove}
          >
            Delete
          </Button>
        </Group>
      )}
    </RuleCard>
  );
}
