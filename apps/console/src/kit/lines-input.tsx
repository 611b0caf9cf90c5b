import { Textarea, type TextareaProps } from '@mantine/core';
import type { ReactNode } from 'react';

interface Props extends Omit<TextareaProps, 'onChange' | 'error'> {
  value: string;
  onChange: (value: string) => void;
  /** What is wrong, with the line it is about; null: with the whole. */
  problems: readonly { line: number | null; message: string }[];
}

/** Several values, one on each line: they are pasted and compared more easily so, and may contain blanks and commas. */
export function LinesInput({ value, onChange, problems, ...rest }: Props) {
  const several = value.trim().includes('\n');
  const error: ReactNode =
    problems.length === 0
      ? undefined
      : problems.map(({ line, message }) => (
          <span key={`${line} ${message}`} className="field-problem">
            {several && line !== null ? `Line ${line}: ` : ''}
            {message}
          </span>
        ));
  return (
    <Textarea
      {...rest}
      value={value}
      error={error}
      autosize
      maxRows={12}
      autoComplete="off"
      autoCapitalize="off"
      spellCheck={false}
      classNames={{ input: 'mono' }}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}
