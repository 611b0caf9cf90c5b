import { Button, Card, Group, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconIdBadge2, IconKey, IconServer, IconTerminal2, IconUserPlus, IconUsersMinus } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { MarkedText } from '../../kit/command-text.tsx';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { Ago } from '../../kit/times.tsx';
import { api, browserApi, type Hold, refresh, refusalOf } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { HeldChange } from './held-change.tsx';
import { consequence, meanwhile, titleOf } from './hold-words.ts';

type Answer = 'confirm' | 'reject';

const ICONS: Record<Hold['kind'], typeof IconUserPlus> = {
  power_member: IconUserPlus,
  power_name: IconKey,
  new_host: IconServer,
  host_report: IconServer,
  power_rule: IconTerminal2,
  binding: IconIdBadge2,
  mass_change: IconUsersMinus,
};

function HoldCard({ hold, answer }: { hold: Hold; answer: (answer: Answer) => void }) {
  const mayChange = useMayChange();
  const Icon = ICONS[hold.kind];
  const title = titleOf(hold);
  const open = hold.state === 'open';
  return (
    <Card component="article" withBorder padding="lg" radius="lg" aria-label={title}>
      <Stack gap="md">
        <Group gap="md" wrap="nowrap" align="flex-start">
          <ThemeIcon size={40} radius="md" variant="light" className={`tone tone-${open ? 'yellow' : 'gray'}`}>
            <Icon size={22} stroke={1.75} aria-hidden="true" />
          </ThemeIcon>
          <div className="grow">
            <Title order={3} size="h5" className="break">
              <MarkedText text={title} />
            </Title>
            <Text size="sm" c="dimmed" className="break">
              {open ? (
                <>
                  Noticed <Ago at={hold.heldAt} />
                </>
              ) : (
                <>
                  {hold.state === 'confirmed' ? 'Ignored' : 'Kept out'} by {hold.decidedBy ?? 'an administrator'}
                  {hold.decidedAt !== null && (
                    <>
                      {' '}
                      <Ago at={hold.decidedAt} />
                    </>
                  )}
                </>
              )}
            </Text>
          </div>
        </Group>
        <HeldChange hold={hold} />
        <Group justify="space-between" gap="md" wrap="wrap">
          <Text size="sm" c="dimmed" className="grow break">
            <MarkedText text={meanwhile(hold)} />
          </Text>
          {mayChange && hold.state === 'confirmed' && (
            <Button variant="default" aria-label={`Hear it again: ${title}`} onClick={() => answer('reject')}>
              Hear it again
            </Button>
          )}
          {mayChange && hold.state !== 'confirmed' && (
            <Group gap="sm" className="card-actions">
              {open && (
                <Button variant="default" aria-label={`Keep out: ${title}`} onClick={() => answer('reject')}>
                  Keep out
                </Button>
              )}
              <Button
                variant={open ? 'filled' : 'default'}
                aria-label={`${open ? 'Let it through' : 'Let it through after all'}: ${title}`}
                onClick={() => answer('confirm')}
              >
                {open ? 'Let it through' : 'Let it through after all'}
              </Button>
            </Group>
          )}
        </Group>
      </Stack>
    </Card>
  );
}

export interface Asked {
  /** The change as it was when the question was put: a newer one must not slip under the answer. */
  hold: Hold;
  answer: Answer;
}

/** Changes at the source that nobody has decided, or that were refused; and hosts whose report is ignored. */
export function HoldList({ holds, ask }: { holds: readonly Hold[]; ask: (asked: Asked) => void }) {
  return (
    <Stack gap="md">
      {holds.map((hold) => (
        <HoldCard key={hold.id} hold={hold} answer={(answer) => ask({ hold, answer })} />
      ))}
    </Stack>
  );
}

/** Repeats what a change is about before it is let through or kept out. */
export const AnswerDialog = formDialog<Asked>(
  (asked) => (asked?.answer === 'reject' ? 'Keep this out?' : 'Let this through?'),
  function AnswerForm({ about: { hold, answer }, close }) {
    const done = (message: string) => ({
      onSuccess: () => {
        notifications.show({ color: answer === 'confirm' ? 'green' : 'gray', message });
        close();
      },
      onSettled: () => void refresh(api.directory.pathKey()),
    });
    const confirm = useMutation(
      browserApi.directory.confirm.mutationOptions(done('Let through. Hosts see it with their next refresh.')),
    );
    const reject = useMutation(browserApi.directory.reject.mutationOptions(done('Kept out.')));
    const { id, digest } = hold;
    const error = confirm.error ?? reject.error;
    const gone = refusalOf(error) === 'not_found';
    return (
      <DialogForm
        submit={() => {
          if (answer === 'reject')
            reject.mutate({ id, digest, was: hold.state === 'confirmed' ? 'confirmed' : 'open' });
          else confirm.mutate({ id, digest, was: hold.state === 'rejected' ? 'rejected' : 'open' });
        }}
        close={close}
        label={gone ? null : answer === 'confirm' ? 'Let it through' : 'Keep out'}
        backLabel={gone ? 'Close' : 'Back'}
        error={error}
        problem={
          gone
            ? 'Somebody else has answered meanwhile, or the source asks for something else now. Nothing was done.'
            : null
        }
        pending={confirm.isPending || reject.isPending}
        tone={answer === 'confirm' ? 'danger' : undefined}
      >
        <Text fw={600} className="break">
          <MarkedText text={titleOf(hold)} />
        </Text>
        <HeldChange hold={hold} />
        {answer === 'confirm' && hold.state === 'rejected' && (
          <Text size="sm">
            <strong>{hold.decidedBy ?? 'An administrator'}</strong> kept it out
            {hold.decidedAt !== null && (
              <>
                {' '}
                <Ago at={hold.decidedAt} />
              </>
            )}
            .
          </Text>
        )}
        <Text size="sm" className="break">
          <MarkedText
            text={
              answer === 'confirm'
                ? consequence(hold)
                : 'It stays out for as long as the source asks for it. You can still let it through later.'
            }
          />
        </Text>
      </DialogForm>
    );
  },
  'lg',
);
