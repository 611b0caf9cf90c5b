import { NumberInput, Select, Textarea, TextInput } from '@mantine/core';
import { LinesInput } from '../../kit/lines-input.tsx';
import type { Field, Typed } from './channel-forms.ts';

/** The input of one setting. */
function FieldInput({
  name,
  field,
  value,
  missing,
  change,
}: {
  name: string;
  field: Field;
  value: string;
  missing: boolean;
  change: (value: string) => void;
}) {
  const { label, description, placeholder, optional, input } = field;
  const common = {
    ...{ name, label, value },
    ...(description === undefined ? {} : { description }),
    ...(placeholder === undefined ? {} : { placeholder }),
    ...(missing ? { error: 'This is needed.' } : {}),
    required: !optional,
    withAsterisk: false,
  };
  const typed = {
    ...common,
    autoComplete: 'off',
    autoCapitalize: 'off',
    spellCheck: false,
    onChange: (event: { currentTarget: { value: string } }) => change(event.currentTarget.value),
  };
  if (input === 'choice') {
    const data = Object.entries(field.choices).map(([choice, text]) => ({ value: choice, label: text }));
    // The first is what the server takes where nothing is said.
    return (
      <Select
        {...common}
        data={data}
        value={value === '' ? (data[0]?.value ?? null) : value}
        allowDeselect={false}
        onChange={(next) => change(next ?? '')}
      />
    );
  }
  if (input === 'number')
    return <NumberInput {...common} min={1} max={65_535} hideControls onChange={(next) => change(String(next))} />;
  if (input === 'lines') {
    const { error, ...rest } = { error: undefined, ...common };
    return (
      <LinesInput
        {...rest}
        minRows={1}
        onChange={change}
        problems={error === undefined ? [] : [{ line: null, message: error }]}
      />
    );
  }
  if (input === 'long') return <Textarea {...typed} autosize minRows={1} maxRows={6} classNames={{ input: 'mono' }} />;
  return <TextInput {...typed} />;
}

/** The settings of a channel, each in its field. */
export function ChannelFields({
  fields,
  typed,
  missing,
  change,
}: {
  fields: readonly (readonly [string, Field])[];
  typed: Typed;
  missing: readonly string[];
  change: (typed: Typed) => void;
}) {
  return fields.map(([name, field]) => (
    <FieldInput
      key={name}
      name={name}
      field={field}
      value={typed[name] ?? ''}
      missing={missing.includes(name)}
      change={(value) => change({ ...typed, [name]: value })}
    />
  ));
}
