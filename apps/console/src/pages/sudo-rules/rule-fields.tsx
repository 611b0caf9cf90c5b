import { Alert, Button, Checkbox, Group, List, SimpleGrid, Stack, Switch, Text, TextInput } from '@mantine/core';
import type { ReactNode } from 'react';
import { DialogActions } from '../../kit/form-dialog.tsx';
import { LinesInput } from '../../kit/lines-input.tsx';
import { refusalOf, type SudoRule } from '../../server/api.ts';
import { warningText } from '../../words/rules.ts';
import { RuleConflict } from './rule-conflict.tsx';
import { useRuleEditor } from './use-rule-editor.ts';

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset className="form-part">
      <legend>{title}</legend>
      <Stack gap="md">{children}</Stack>
    </fieldset>
  );
}

/** What the server warns of has to be meant, warning by warning. */
function Warnings({ editor: { warnings, mustMean, mean } }: { editor: ReturnType<typeof useRuleEditor> }) {
  return (
    <Alert className="tone tone-yellow" color="yellow" variant="light" title="Is this what you want?">
      <List size="sm" spacing={4} mb="sm">
        {warnings.map((warning) => (
          <List.Item key={`${warning.code} ${warning.message}`} className="break">
            {warningText(warning)}
          </List.Item>
        ))}
      </List>
      <Checkbox
        label="Yes, this is what I want."
        checked={!mustMean}
        onChange={(event) => mean(event.currentTarget.checked)}
      />
    </Alert>
  );
}

/** The form of a rule. `leaving` asks whether to discard what was typed. */
export function RuleFields({
  base,
  close,
  changed,
  leaving,
  stay,
}: {
  base: SudoRule | null;
  close: () => void;
  changed: () => void;
  leaving: boolean;
  stay: () => void;
}) {
  const editor = useRuleEditor(base, { changed, saved: close });
  const { one, many, theirs } = editor;
  return (
    <form ref={editor.element} noValidate onSubmit={editor.submit}>
      <Stack gap="xl">
        {theirs && (
          <RuleConflict
            theirs={theirs}
            mine={editor.rule}
            onTakeTheirs={() => editor.takeTheirs(theirs)}
            onKeepMine={() => editor.keepMine(theirs)}
          />
        )}
        <Part title="For whom">
          <Text size="sm" c="dimmed">
            At least one of these.
          </Text>
          <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
            <TextInput
              {...one('group')}
              label="Group"
              description="Its members, as hosts know them."
              placeholder="web"
              maxLength={64}
              data-autofocus
            />
            <TextInput {...one('netgroup')} label="Netgroup" description="A netgroup of people." maxLength={64} />
          </SimpleGrid>
          <LinesInput {...many('users')} label="Users" description="One on each line." minRows={1} />
        </Part>
        <Part title="What">
          <LinesInput
            {...many('commands')}
            label="Commands"
            description="One on each line, with the whole path. Without arguments, any are allowed; ALL allows every command."
            placeholder="/usr/bin/systemctl restart nginx"
            minRows={2}
          />
          <LinesInput
            {...many('hosts')}
            label="Hosts"
            description="Names, addresses, networks or +netgroups, one on each line. Empty: every host."
            placeholder="web1.example.com"
            minRows={1}
          />
        </Part>
        <Part title="As whom">
          <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
            <LinesInput
              {...many('runAsUser')}
              label="Run as user"
              description="Empty: root, or with a group below themselves."
              minRows={1}
            />
            <LinesInput
              {...many('runAsGroup')}
              label="Run as group"
              description="For sudo -g. Empty: none."
              minRows={1}
            />
          </SimpleGrid>
        </Part>
        <Part title="More">
          <LinesInput
            {...many('options')}
            label="Options of sudo"
            description="One on each line. Only options that cannot get round the approval are accepted."
            placeholder="use_pty"
            minRows={1}
          />
          <SimpleGrid cols={{ base: 1, sm: 2 }} spacing="md">
            <TextInput
              {...one('name')}
              label="Name of the rule"
              description="Empty: the name of the group or first user."
              maxLength={64}
            />
            <TextInput
              {...one('order')}
              label="Order"
              description="Where several rules fit, the highest decides. Empty: 1."
              inputMode="numeric"
            />
            <TextInput
              {...one('notBefore')}
              label="Not before"
              description="In your time. Empty: at once."
              type="datetime-local"
              max="2099-12-31T23:59"
            />
            <TextInput
              {...one('notAfter')}
              label="Not after"
              description="In your time. Empty: for good."
              type="datetime-local"
              max="2099-12-31T23:59"
            />
          </SimpleGrid>
          <TextInput
            {...one('description')}
            spellCheck
            label="Description"
            description="For people; hosts get it too."
            maxLength={500}
          />
          <Switch
            label="Served to hosts"
            checked={editor.enabled}
            onChange={(event) => editor.setEnabled(event.currentTarget.checked)}
          />
        </Part>
        <Stack gap="md">
          {editor.warnings.length > 0 && <Warnings editor={editor} />}
          {editor.uncheckable && (
            <Text size="sm" c="dimmed">
              The rule is too long to be checked while you type. It is checked when you save it.
            </Text>
          )}
          {leaving ? (
            <div className="ask" role="alert">
              <Text size="sm" fw={600}>
                Discard what you typed?
              </Text>
              <Group gap="sm">
                <Button variant="default" size="xs" onClick={stay} autoFocus>
                  Keep editing
                </Button>
                <Button color="red.9" size="xs" onClick={close}>
                  Discard
                </Button>
              </Group>
            </div>
          ) : (
            <DialogActions
              error={editor.save.error}
              problem={
                refusalOf(editor.save.error) === 'not_found' ? 'Somebody else has deleted this rule meanwhile.' : null
              }
              close={close}
              label={editor.isNew ? 'Create rule' : 'Save rule'}
              pending={editor.save.isPending}
              disabled={editor.mustMean || theirs !== null}
            />
          )}
        </Stack>
      </Stack>
    </form>
  );
}
