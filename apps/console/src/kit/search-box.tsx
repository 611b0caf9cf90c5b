import { TextInput } from '@mantine/core';
import { useDebouncedCallback } from '@mantine/hooks';
import { IconSearch } from '@tabler/icons-react';
import { useEffect, useRef, useState } from 'react';

const SETTLED_AFTER_MS = 300;

/** What to look for. `change` is called a moment after the last key; the address may change `value` at any time. */
export function SearchBox({
  label = 'Search',
  placeholder,
  value,
  change,
}: {
  label?: string;
  placeholder: string;
  value: string;
  change: (text: string) => void;
}) {
  const [typed, setTyped] = useState(value);
  const told = useRef(value);
  const tell = useDebouncedCallback((text: string) => {
    told.current = text;
    change(text);
  }, SETTLED_AFTER_MS);
  useEffect(() => {
    // What comes back from our own words is not newer than what has been typed since.
    if (value === told.current) return;
    told.current = value;
    tell.cancel();
    setTyped(value);
  }, [value, tell]);
  return (
    <TextInput
      className="search"
      aria-label={label}
      placeholder={placeholder}
      leftSection={<IconSearch size={18} aria-hidden="true" />}
      value={typed}
      maxLength={200}
      autoComplete="off"
      spellCheck={false}
      onChange={(event) => {
        setTyped(event.currentTarget.value);
        tell(event.currentTarget.value.trim());
      }}
    />
  );
}
