import { Alert, Checkbox, List, Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { ImportField } from '../../parts/import-field.tsx';
import { browserClient } from '../../server/api.ts';
import { warningText } from '../../words/rules.ts';
import { plural, sentence } from '../../words/text.ts';
import { refreshRules } from './refresh-rules.ts';

/** What the server takes at once; as it travels, within a JSON string. */
const MAX_BODY = 60_000;

/** Without blanks: an exported file is indented. Null when it is no JSON. */
function compact(text: string): string | null {
  try {
    return JSON.stringify(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Takes over a `sudorules.json`, from a file or pasted. */
export const ImportDialog = formDialog(
  'Import rules',
  function ImportForm({ close }) {
    const [text, setText] = useState('');
    const [meantFor, setMeantFor] = useState('');
    const content = compact(text);
    const tooLarge = content !== null && JSON.stringify(content).length > MAX_BODY;
    const send = useMutation({
      mutationFn: (acknowledged: boolean) => browserClient.sudoRules.import.mutate({ content: content!, acknowledged }),
      onSuccess: (result) => {
        if (!result.ok) return;
        notifications.show({ color: 'green', message: `Imported ${plural(result.imported, 'rule')}.` });
        close();
      },
      onSettled: refreshRules,
    });
    const result = send.data?.ok === false ? send.data : null;
    const warnings = result?.why === 'warnings' ? result.warnings : [];
    const meant = meantFor === text;
    const change = (next: string) => {
      setText(next);
      send.reset();
    };
    return (
      <DialogForm
        submit={() => send.mutate(warnings.length > 0 && meant)}
        close={close}
        label="Import rules"
        error={send.error}
        problem={result?.why === 'invalid' ? `${sentence(result.problem)} Nothing was imported.` : null}
        pending={send.isPending}
        disabled={content === null || tooLarge || (warnings.length > 0 && !meant)}
      >
        <Text size="sm">
          A <code className="mono">sudorules.json</code> of an earlier installation, or an export from here. The rules
          are added; none is replaced. All of them are taken, or none.
        </Text>
        <ImportField
          text={text}
          error={
            text.trim() !== '' && content === null
              ? 'This is no JSON.'
              : tooLarge
                ? 'Too large for one import, which takes about 250 rules. Split it into several files.'
                : undefined
          }
          change={change}
        />
        {result?.why === 'warnings' && (
          <Alert
            className="tone tone-yellow"
            color="yellow"
            variant="light"
            role="alert"
            title={`${plural(result.rules, 'rule')}. Is this what you want?`}
          >
            <List size="sm" spacing={4} mb="sm">
              {warnings.map((warning) => (
                <List.Item key={`${warning.rule} ${warning.code} ${warning.message}`} className="break">
                  <strong>{warning.rule}</strong>: {warningText(warning)}
                </List.Item>
              ))}
            </List>
            <Checkbox
              label="Yes, this is what I want."
              checked={meant}
              onChange={(event) => setMeantFor(event.currentTarget.checked ? text : '')}
            />
          </Alert>
        )}
      </DialogForm>
    );
  },
  'lg',
);
