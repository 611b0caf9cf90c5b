import { Button, FileButton, Textarea } from '@mantine/core';
import { IconFileImport } from '@tabler/icons-react';

/** JSON that is taken over: from a file, or pasted. */
export function ImportField({
  text,
  error,
  change,
}: {
  text: string;
  error: string | undefined;
  change(next: string): void;
}) {
  return (
    <>
      <FileButton
        accept="application/json,.json"
        inputProps={{ 'aria-label': 'File to import' }}
        onChange={(file) => void file?.text().then(change)}
      >
        {(props) => (
          <Button {...props} variant="default" leftSection={<IconFileImport size={18} />} className="self-start">
            Choose a file
          </Button>
        )}
      </FileButton>
      <Textarea
        label="Or paste it here"
        value={text}
        autosize
        minRows={4}
        maxRows={10}
        autoComplete="off"
        spellCheck={false}
        classNames={{ input: 'mono' }}
        error={error}
        onChange={(event) => change(event.currentTarget.value)}
      />
    </>
  );
}
