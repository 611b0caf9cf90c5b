import { Button, Checkbox, Group, Stack, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { MarkedText } from '../../kit/command-text.tsx';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { api, browserApi, type Hold, refresh, refusalOf } from '../../server/api.ts';
import { useMayChange } from '../../server/me.ts';
import { plural } from '../../words/text.ts';
import { HeldChange } from './held-change.tsx';
import { consequence, titleOf } from './hold-words.ts';

/** Most changes that can be answered together; the server takes no more. */
const MOST = 200;

/** Chooses among the changes as they were when the dialog opened: a newer one must not slip under the answer. */
const ChoiceDialog = formDialog<readonly Hold[]>(
  'Decide about several changes',
  function ChoiceForm({ about: holds, close }) {
    const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
    const [decision, setDecision] = useState<'confirmed' | 'rejected'>('confirmed');
    const decide = useMutation(
      browserApi.directory.decideMany.mutationOptions({
        onSuccess: (_, { holds: answered }) => {
          const what = plural(answered.length, 'change');
          notifications.show(
            decision === 'confirmed'
              ? { color: 'green', message: `${what} let through. Hosts see it with their next refresh.` }
              : { color: 'gray', message: `${what} kept out.` },
          );
          close();
        },
        onSettled: () => void refresh(api.directory.pathKey()),
      }),
    );
    const gone = refusalOf(decide.error) === 'not_found';
    const shown = holds.slice(0, MOST);
    const all = chosen.size === shown.length;
    const toggle = (id: string, on: boolean) => {
      const next = new Set(chosen);
      if (on) next.add(id);
      else next.delete(id);
      setChosen(next);
    };
    return (
      <DialogForm
        submit={() => {
          const answered = shown.filter(({ id }) => chosen.has(id));
          decide.mutate({ decision, holds: answered.map(({ id, digest }) => ({ id, digest, was: 'open' as const })) });
        }}
        close={close}
        label={
          gone
            ? null
            : chosen.size === 0
              ? 'Nothing is chosen'
              : `${decision === 'confirmed' ? 'Let through' : 'Keep out'}: ${plural(chosen.size, 'change')}`
        }
        backLabel={gone ? 'Close' : 'Back'}
        error={decide.error}
        problem={
          gone
            ? 'One of them was answered meanwhile, or the source asks for something else now. Nothing was done.'
            : null
        }
        pending={decide.isPending}
        disabled={chosen.size === 0}
        tone={decision === 'confirmed' ? 'danger' : undefined}
      >
        <Group justify="space-between">
          <Checkbox
            label={`All ${shown.length}`}
            checked={all}
            indeterminate={chosen.size > 0 && !all}
            onChange={({ currentTarget }) => setChosen(new Set(currentTarget.checked ? shown.map(({ id }) => id) : []))}
          />
          <Button.Group>
            {(['confirmed', 'rejected'] as const).map((one) => (
              <Button
                key={one}
                size="xs"
                variant={decision === one ? 'filled' : 'default'}
                aria-pressed={decision === one}
                onClick={() => setDecision(one)}
              >
                {one === 'confirmed' ? 'Let through' : 'Keep out'}
              </Button>
            ))}
          </Button.Group>
        </Group>
        <Stack component="ul" className="plain-list" gap="lg">
          {shown.map((hold) => (
            <li key={hold.id}>
              <Checkbox
                label={<MarkedText text={titleOf(hold)} />}
                checked={chosen.has(hold.id)}
                onChange={({ currentTarget }) => toggle(hold.id, currentTarget.checked)}
              />
              {chosen.has(hold.id) && (
                <Stack gap="xs" mt="xs">
                  <HeldChange hold={hold} />
                  {decision === 'confirmed' && (
                    <Text size="sm" className="break">
                      <MarkedText text={consequence(hold)} />
                    </Text>
                  )}
                </Stack>
              )}
            </li>
          ))}
        </Stack>
      </DialogForm>
    );
  },
  'lg',
);

/** The way to answer several changes at once. Of one there is nothing to choose. */
export function HoldChoice({ holds }: { holds: readonly Hold[] }) {
  const [asked, setAsked] = useState<readonly Hold[] | null>(null);
  const mayChange = useMayChange();
  if (!mayChange || holds.length < 2) return null;
  return (
    <>
      <Button variant="default" mb="md" onClick={() => setAsked(holds)}>
        Decide about several
      </Button>
      <ChoiceDialog about={asked} close={() => setAsked(null)} />
    </>
  );
}
