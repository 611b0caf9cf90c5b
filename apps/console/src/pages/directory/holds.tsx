import { Button, Card, Group, Modal, Stack, Text, ThemeIcon, Title } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { IconIdBadge2, IconTerminal2, IconUserPlus, IconUsersMinus } from '@tabler/icons-react';
import { useMutation } from '@tanstack/react-query';
import { MarkedText } from '../../kit/command-text.tsx';
import { DialogActions } from '../../kit/dialog-actions.tsx';
import { Ago } from '../../kit/times.tsx';
import { api, browserApi, type Hold, queryClient, refusalOf } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { HeldChange } from './held-change.tsx';
import { consequence, meanwhile, titleOf } from './hold-words.ts';

type Answer = 'confirm' | 'reject';

const ICONS: Record<Hold['kind'], typeof IconUserPlus> = {
  power_member: IconUserPlus,
  power_rule: IconTerminal2,
  binding: IconIdBadge2,
  mass_change: IconUsersMinus,
};

const refresh = () => void queryClient.invalidateQueries({ queryKey: api.directory.pathKey() });

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
                  Kept out by {hold.decidedBy ?? 'an administrator'}
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
          {mayChange && (
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

/** Changes at the source that nobody has decided, or that were refused. */
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
export function AnswerDialog({ asked, close }: { asked: Asked | null; close: () => void }) {
  return (
    <Modal
      opened={asked !== null}
      onClose={close}
      title={asked?.answer === 'reject' ? 'Keep this out?' : 'Let this through?'}
      size="lg"
      centered
    >
      {asked && <AnswerForm key={asked.hold.id} {...asked} close={close} />}
    </Modal>
  );
}

function AnswerForm({ hold, answer, close }: { hold: Hold; answer: Answer; close: () => void }) {
  const done = (message: string) => ({
    onSuccess: () => {
      notifications.show({ color: answer === 'confirm' ? 'green' : 'gray', message });
      close();
    },
    onSettled: refresh,
  });
  const confirm = useMutation(
    browserApi.directory.confirm.mutationOptions(done('Let through. Hosts see it with their next refresh.')),
  );
  const reject = useMutation(browserApi.directory.reject.mutationOptions(done('Kept out.')));
  const { id, digest } = hold;
  const error = confirm.error ?? reject.error;
  const gone = refusalOf(error) === 'not_found';
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        if (answer === 'reject') reject.mutate({ id, digest });
        else confirm.mutate({ id, digest, was: hold.state === 'rejected' ? 'rejected' : 'open' });
      }}
    >
      <Stack gap="md">
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
        <DialogActions
          error={error}
          note={
            gone
              ? 'Somebody else has answered meanwhile, or the source asks for something else now. Nothing was done.'
              : undefined
          }
          close={close}
          label={gone ? null : answer === 'confirm' ? 'Let it through' : 'Keep out'}
          backLabel={gone ? 'Close' : 'Back'}
          pending={confirm.isPending || reject.isPending}
          color={answer === 'confirm' ? 'red.9' : undefined}
        />
      </Stack>
    </form>
  );
}
