import { Text } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { MarkedText } from '../../kit/command-text.tsx';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { RuleRows } from '../../parts/rule-rows.tsx';
import { browserClient, refusalOf, type SudoRule } from '../../server/api.ts';
import { rowsOfInput, whoOfInput, whoText } from '../../words/rules.ts';
import { refreshRules } from './refresh-rules.ts';

/** Deletes a rule, as it is shown here: another version of it is not deleted unseen. */
export const DeleteRuleDialog = formDialog<SudoRule>(
  'Delete this rule?',
  function DeleteRuleForm({ about: rule, close }) {
    const remove = useMutation({
      mutationFn: () => browserClient.sudoRules.delete.mutate({ id: rule.id, revision: rule.revision }),
      onSuccess: (result) => {
        if (!result.ok) return;
        notifications.show({
          color: 'gray',
          message: `${rule.name} is deleted. Hosts drop it with their next full refresh.`,
        });
        close();
      },
      onSettled: refreshRules,
    });
    const conflict = remove.data?.ok === false ? remove.data.current : null;
    const gone = refusalOf(remove.error) === 'not_found';
    return (
      <DialogForm
        submit={() => remove.mutate()}
        close={close}
        label={conflict || gone ? null : 'Delete rule'}
        backLabel={conflict || gone ? 'Close' : 'Back'}
        error={remove.error}
        problem={
          conflict
            ? `${conflict.updatedBy} has changed this rule meanwhile. Close this and look at it again.`
            : gone
              ? 'Somebody else has deleted it already.'
              : null
        }
        pending={remove.isPending}
        tone="danger"
      >
        <Text size="sm" className="break">
          <strong>{rule.name}</strong> allows <MarkedText text={whoText(whoOfInput(rule.rule))} />:
        </Text>
        <RuleRows rows={rowsOfInput(rule.rule)} />
        <Text size="sm">Whoever has no other rule for it can no longer run this with sudo.</Text>
      </DialogForm>
    );
  },
  'lg',
);
