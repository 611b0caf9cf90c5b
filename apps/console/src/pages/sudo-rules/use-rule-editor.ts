import { useDebouncedValue } from '@mantine/hooks';
import { notifications } from '@mantine/notifications';
import { keepPreviousData, skipToken, useMutation, useQuery } from '@tanstack/react-query';
import { type FormEvent, useRef, useState } from 'react';
import { browserApi, browserClient, type RuleCheck, type RuleInput, type SudoRule } from '../../server/api.ts';
import { sentence } from '../../words/text.ts';
import { refreshRules } from './refresh-rules.ts';
import { EMPTY_FORM, type Field, formOf, type LIST_FIELDS, problemsAt, type RuleForm, ruleOf } from './rule-form.ts';

/** Longer ones do not fit into an address; saving checks them all the same. */
const MAX_LIVE_CHECK = 10_000;

/** "Say for whom" stands at the group, and any of the three may have been looked at. */
const touchedWho = (touched: ReadonlySet<string>) => touched.has('users') || touched.has('netgroup');

/**
 * A rule that is being written: what was typed, what the server says about it while it is typed, and saving it. The
 * server's words count only for the very text that they were said about.
 *
 * @param opened the rule that is changed; null makes one
 */
export function useRuleEditor(opened: SudoRule | null, { changed, saved }: { changed: () => void; saved: () => void }) {
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
        saved();
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

  return {
    element,
    submit: (event: FormEvent) => {
      event.preventDefault();
      setTried(true);
      if (problems.length > 0 && (current || unreadable.length > 0)) focusFirst(problems.map(({ field }) => field));
      else save.mutate();
    },
    /** Properties of the input of one field. */
    one,
    /** Properties of the input of a field with a value on each line. */
    many,
    enabled: form.enabled,
    setEnabled: (enabled: boolean) => set('enabled', enabled),
    /** The rule as it would be saved. */
    rule,
    warnings,
    /** The warnings were not said to be meant yet. */
    mustMean,
    mean: (meant: boolean) => setMeant(meant ? warningKey : ''),
    uncheckable: !live && unreadable.length === 0,
    isNew: base === null,
    /** What somebody else saved meanwhile. */
    theirs,
    takeTheirs: (rule: SudoRule) => {
      setBase(rule);
      setForm(formOf(rule.rule));
      setTouched(new Set());
      setTried(false);
      setTheirs(null);
    },
    keepMine: (over: SudoRule) => {
      setBase(over);
      setTheirs(null);
    },
    save,
  };
}
