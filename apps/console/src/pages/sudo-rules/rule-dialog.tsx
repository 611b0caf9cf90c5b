import { Alert, Button, Checkbox, Group, List, Modal, SimpleGrid, Stack, Switch, Text, TextInput } from '@mantine/core';
import { useDebouncedValue } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { keepPreviousData, skipToken, useMutation, useQuery } from '@tanstack/react-query';
import { type ReactNode, useRef, useState } from 'react';
import { DialogActions } from '../../kit/form-dialog.tsx';
import { LinesInput } from '../../kit/lines-input.tsx';
import {
  browserApi,
  browserClient,
  type RuleCheck,
  type RuleInput,
  refusalOf,
  type SudoRule,
} from '../../server/api.ts';
import { warningText } from '../../words/rules.ts';
import { sentence } from '../../words/text.ts';
import { refreshRules } from './refresh-rules.ts';
import { RuleConflict } from './rule-conflict.tsx';
import { EMPTY_FORM, type Field, formOf, type LIST_FIELDS, problemsAt, type RuleForm, ruleOf } from './rule-form.ts';

/** Longer ones do not fit into an address; saving checks them all the same. */
const MAX_LIVE_CHECK = 10_000;

/** Makes a rule (`rule` null) or changes one. */
export function RuleDialog({ opened, rule, close }: { opened: boolean; rule: SudoRule | null; close: () => void }) {
  // Whatever was typed must not vanish with one click beside the dialog, or one key.
  const [dirty, setDirty] = useState(false);
  const [leaving, setLeaving] = useState(false);
  const leave = () => {
    setDirty(false);
    setLeaving(false);
    close();
  };
  return (
    <Modal
      opened={opened}
      onClose={() => (dirty ? setLeaving(true) : leave())}
      title={rule ? `Rule ${rule.name}` : 'New rule'}
      size="xl"
      centered
    >
      {opened && (
        <RuleFields
          key={rule?.id ?? 'new'}
          base={rule}
          close={leave}
          changed={() => setDirty(true)}
          leaving={leaving}
          stay={() => setLeaving(false)}
        />
      )}
    </Modal>
  );
}

function Part({ title, children }: { title: string; children: ReactNode }) {
  return (
    <fieldset className="form-part">
      <legend>{title}</legend>
      <Stack gap="md">{children}</Stack>
    </fieldset>
  );
}

function RuleFields({
  base: opened,
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
  const element = useRef<HTMLFormElement>(null);
  const [base, setBase] = useState(opened);
  const [form, setForm] = useState<RuleForm>(() => (opened ? formOf(opened.rule) : EMPTY_FORM));
  const [touched, setTouched] = useState<ReadonlySet<string>>(new Set());
  const [tried, setTried] = useState(false);
  const [meant, setMeant] = useState('');
  const [theirs, setTheirs] = useState<SudoRule | null>(null);
  const [answer, setAnswer] = useState<{ text: string; check: RuleCheck } | null>(null);

  const { rule, problems: unreadable } = ruleOf(form);
  const text = JSON.stringify(rule);
  const [settled] = useDebouncedValue(text, 300);
  const live = unreadable.length === 0 && encodeURIComponent(settled).length < MAX_LIVE_CHECK;
  const query = useQuery(
    browserApi.sudoRules.validate.queryOptions(live ? { rule: JSON.parse(settled) as RuleInput } : skipToken, {
      placeholderData: keepPreviousData,
      staleTime: 0,
    }),
  );
  // Words about what was typed a moment ago stay until there are newer ones; only those about this text count.
  const check = answer?.text === text ? answer.check : query.data;
  const current = answer?.text === text || (live && settled === text && query.isSuccess && !query.isPlaceholderData);
  const problems = unreadable.length > 0 ? unreadable : problemsAt(form, check?.problems ?? []);
  const shown = problems.filter(
    ({ field }) => tried || touched.has(field) || (field === 'group' && touchedWho(touched)),
  );
  const warnings = unreadable.length === 0 && check?.problems.length === 0 ? check.warnings : [];
  const warningKey = JSON.stringify(warnings);
  const mustMean = warnings.length > 0 && meant !== warningKey;
  const acknowledged = current && warnings.length > 0 && !mustMean;

  const save = useMutation({
    mutationFn: () =>
      base
        ? browserClient.sudoRules.update.mutate({
            id: base.id,
            revision: base.revision,
            rule,
            acknowledged,
          })
        : browserClient.sudoRules.create.mutate({ rule, acknowledged }),
    onSuccess: (result) => {
      if (result.ok) {
        notifications.show({
          color: 'green',
          message: `${result.rule.name} is saved. Hosts get it with their next refresh.`,
        });
        close();
      } else if (result.why === 'conflict') setTheirs(result.current);
      else {
        setAnswer({ text, check: { problems: result.problems, warnings: result.warnings } });
        if (result.why === 'invalid') focusFirst(result.problems.map(({ field }) => field));
      }
    },
    onSettled: refreshRules,
  });

  function focusFirst(fields: readonly Field[]) {
    const inputs = [...(element.current?.querySelectorAll<HTMLElement>('[name]') ?? [])];
    inputs.find((input) => fields.includes(input.getAttribute('name') as Field))?.focus();
  }
  const set = <K extends keyof RuleForm>(field: K, value: RuleForm[K]) => {
    setForm({ ...form, [field]: value });
    setTouched(new Set([...touched, field]));
    changed();
  };
  const at = (field: Field) => shown.filter((problem) => problem.field === field);
  const one = (field: Exclude<keyof RuleForm, 'enabled'>) => ({
    name: field,
    value: form[field],
    error: at(field).length > 0 ? sentence(at(field)[0]!.message) : undefined,
    autoComplete: 'off',
    spellCheck: false,
    onChange: (event: { currentTarget: { value: string } }) => set(field, event.currentTarget.value),
  });
  const many = (field: (typeof LIST_FIELDS)[number]) => ({
    name: field,
    value: form[field],
    problems: at(field).map((problem) => ({ ...problem, message: sentence(problem.message) })),
    onChange: (value: string) => set(field, value),
  });

  return (
    <form
      ref={element}
      noValidate
      onSubmit={(event) => {
        event.preventDefault();
        setTried(true);
        if (problems.length > 0 && (current || unreadable.length > 0)) focusFirst(problems.map(({ field }) => field));
        else save.mutate();
      }}
    >
      <Stack gap="xl">
        {theirs && (
          <RuleConflict
            theirs={theirs}
            mine={rule}
            take={() => {
              setBase(theirs);
              setForm(formOf(theirs.rule));
              setTouched(new Set());
              setTried(false);
              setTheirs(null);
            }}
            keep={() => {
              setBase(theirs);
              setTheirs(null);
            }}
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
            checked={form.enabled}
            onChange={(event) => set('enabled', event.currentTarget.checked)}
          />
        </Part>
        <Stack gap="md">
          {warnings.length > 0 && (
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
                onChange={(event) => setMeant(event.currentTarget.checked ? warningKey : '')}
              />
            </Alert>
          )}
          {!live && unreadable.length === 0 && (
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
              error={save.error}
              problem={refusalOf(save.error) === 'not_found' ? 'Somebody else has deleted this rule meanwhile.' : null}
              close={close}
              label={base ? 'Save rule' : 'Create rule'}
              pending={save.isPending}
              disabled={mustMean || theirs !== null}
            />
          )}
        </Stack>
      </Stack>
    </form>
  );
}

/** "Say for whom" stands at the group, and any of the three may have been looked at. */
const touchedWho = (touched: ReadonlySet<string>) => touched.has('users') || touched.has('netgroup');
