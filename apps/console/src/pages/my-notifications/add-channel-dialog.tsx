import { Group, Select, Text, TextInput } from '@mantine/core';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { browserClient } from '../../server/api.ts';
import { useMe } from '../../server/me.ts';
import { LANGUAGES } from '../../words/notify-channels.ts';
import { sentence } from '../../words/text.ts';
import { channelForms, channelNameOf, type Field, ownLanguage, type Values } from './channel-forms.ts';
import { type ChannelKind, refreshTold } from './notify-types.ts';
import type { Test } from './test-dialog.tsx';

interface About {
  /** Names that are taken, as far as is known here. */
  taken: readonly string[];
  /** Called with the test that was sent on what was set up. */
  tested: (test: Test) => void;
}

/** The server said what is wrong with what was typed. */
class Unfit extends Error {}

function FieldInput({
  field,
  value,
  change,
  first,
}: {
  field: Field;
  value: string;
  change: (value: string) => void;
  first: boolean;
}) {
  const { label, description, placeholder, options } = field;
  if (options)
    return (
      <Select
        label={label}
        data={[...options]}
        value={value}
        allowDeselect={false}
        onChange={(next) => next !== null && change(next)}
      />
    );
  return (
    <TextInput
      {...{ label, description, placeholder, value }}
      autoComplete="off"
      autoCapitalize="off"
      spellCheck={false}
      data-autofocus={first || undefined}
      onChange={(event) => change(event.currentTarget.value)}
    />
  );
}

const begin = (fields: readonly Field[]): Values =>
  Object.fromEntries(fields.map(({ name, begins = '' }) => [name, begins]));

/** Sets a channel up, and sends a test on it at once: who has done it wants to see that it works. */
export const AddChannelDialog = formDialog<About>(
  'Add a channel',
  function AddForm({ about: { taken, tested }, close }) {
    const { person } = useMe();
    const [forms] = useState(channelForms);
    const kinds = (Object.keys(forms) as ChannelKind[]).filter((kind) => forms[kind] !== null);
    const [kind, setKind] = useState<ChannelKind>('ntfy');
    const form = forms[kind]!;
    const [values, setValues] = useState<Values>(() => begin(form.fields));
    const [typedName, setTypedName] = useState<string | null>(null);
    const [locale, setLocale] = useState(() => ownLanguage());
    const name = typedName ?? channelNameOf(person.username, kind, taken);
    const add = useMutation({
      mutationFn: async (): Promise<Test> => {
        const settings = { ...form.settings(values), locale };
        const made = await browserClient.notify.channels.add.mutate({ name, kind, personal: true, settings });
        if (!made.ok) throw new Unfit(sentence(made.problem));
        const { id } = await browserClient.notify.test.mutate({ channel: name });
        return { channel: name, id };
      },
      onSuccess(test) {
        close();
        tested(test);
      },
      onSettled: refreshTold,
    });
    const missing = form.fields.some(({ name, optional }) => !optional && (values[name] ?? '').trim() === '');
    return (
      <DialogForm
        submit={() => add.mutate()}
        close={close}
        label="Set up and test"
        error={add.error}
        problem={add.error instanceof Unfit ? add.error.message : undefined}
        pending={add.isPending}
        disabled={missing || name === ''}
      >
        <Select
          label="How"
          data={kinds.map((one) => ({ value: one, label: forms[one]!.title }))}
          value={kind}
          allowDeselect={false}
          onChange={(next) => {
            if (next === null) return;
            setKind(next as ChannelKind);
            setValues(begin(forms[next as ChannelKind]!.fields));
          }}
        />
        <Text size="sm">{form.about}</Text>
        {form.fields.map((field, index) => (
          <FieldInput
            key={`${kind} ${field.name}`}
            field={field}
            value={values[field.name] ?? ''}
            change={(value) => setValues({ ...values, [field.name]: value })}
            first={index === 0}
          />
        ))}
        <Group grow align="flex-start" gap="md">
          <TextInput
            label="Name"
            value={name}
            maxLength={64}
            autoComplete="off"
            autoCapitalize="off"
            spellCheck={false}
            onChange={(event) => setTypedName(event.currentTarget.value)}
          />
          <Select
            label="Language"
            data={Object.entries(LANGUAGES).map(([value, label]) => ({ value, label }))}
            value={locale}
            allowDeselect={false}
            onChange={(next) => next !== null && setLocale(next)}
          />
        </Group>
      </DialogForm>
    );
  },
);
