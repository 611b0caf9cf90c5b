import { Button, Group, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { suggestPasskeyName } from '#shared/webauthn-json.ts';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { browserClient, type Outputs, refusalOf } from '../../server/api.ts';
import { refreshPasskeys } from './refresh-passkeys.ts';
import { createPasskey, getAssertion, wordsFor } from './webauthn.ts';

type Rules = Outputs['passkeys']['list'];

/** Words for what went wrong, with the way to a fresh sign-in where that is missing. */
function problemOf(error: unknown, rules: Rules) {
  if (!error) return null;
  return (
    <Stack gap="xs" align="flex-start">
      {wordsFor(error)}
      {refusalOf(error) === 'fresh_sign_in_required' && (
        <Button size="xs" variant="default" component="a" href={rules.stepUpPath}>
          Sign in again
        </Button>
      )}
    </Stack>
  );
}

function added(name: string): void {
  refreshPasskeys();
  notifications.show({ color: 'green', message: `${name} is ready.` });
}

/** Adds a passkey: the first after a fresh sign-in, a further one after an existing one said yes. */
export const AddPasskeyDialog = formDialog<Rules>('Add a passkey', function AddForm({ about: rules, close }) {
  // What was true when the dialog opened: the list changes as soon as the new passkey is there.
  const [first] = useState(rules.passkeys.length === 0);
  const [name, setName] = useState(() => suggestPasskeyName(navigator.userAgent));
  const [code, setCode] = useState('');
  const needsCode = first && rules.firstNeedsCode;
  const recoveryCode = needsCode ? { recoveryCode: code.trim() } : {};

  const prove = useMutation({
    mutationFn: async () => {
      const assertion = await getAssertion(await browserClient.passkeys.additionOptions.mutate());
      return browserClient.passkeys.registrationOptions.mutate({ assertion });
    },
  });
  const create = useMutation({
    mutationFn: async () => {
      const options = first ? await browserClient.passkeys.registrationOptions.mutate(recoveryCode) : prove.data;
      const response = await createPasskey(options);
      await browserClient.passkeys.register.mutate({ name: name.trim(), response, ...recoveryCode });
    },
    onSuccess: () => {
      added(name.trim());
      close();
    },
    // A ceremony is good for one try; the next one starts from the beginning.
    onError: () => prove.reset(),
  });

  if (!first && !prove.data) {
    return (
      <DialogForm
        submit={() => prove.mutate()}
        close={close}
        label="Use a passkey"
        problem={problemOf(prove.error ?? create.error, rules)}
        pending={prove.isPending}
        focused
      >
        <Text size="sm">
          First use a passkey that you have. Then you make the new one, on this device, a phone or a security key.
        </Text>
      </DialogForm>
    );
  }
  return (
    <DialogForm
      submit={() => create.mutate()}
      close={close}
      label="Create passkey"
      problem={problemOf(create.error, rules)}
      pending={create.isPending}
      disabled={name.trim() === '' || (needsCode && code.trim() === '')}
    >
      {!first && (
        <Text size="sm" role="status">
          Thank you. Now the new one.
        </Text>
      )}
      <TextInput
        label="Name"
        description="So that you recognise it later."
        value={name}
        maxLength={64}
        data-autofocus
        autoComplete="off"
        onChange={(event) => setName(event.currentTarget.value)}
      />
      {needsCode && (
        <TextInput
          label="Code from an administrator"
          value={code}
          autoComplete="off"
          spellCheck={false}
          classNames={{ input: 'mono' }}
          onChange={(event) => setCode(event.currentTarget.value)}
        />
      )}
    </DialogForm>
  );
});

/** After losing every passkey: a code from an administrator and a fresh sign-in. The lost ones stop working. */
export const RecoverDialog = formDialog<Rules>('I lost my passkeys', function RecoverForm({ about: rules, close }) {
  const [code, setCode] = useState('');
  const [name] = useState(() => suggestPasskeyName(navigator.userAgent));
  const recover = useMutation({
    mutationFn: async () => {
      const recoveryCode = code.trim();
      const response = await createPasskey(await browserClient.passkeys.registrationOptions.mutate({ recoveryCode }));
      await browserClient.passkeys.register.mutate({ name, response, recoveryCode });
    },
    onSuccess: () => {
      added(name);
      close();
    },
  });
  if (!rules.signInIsFresh) {
    return (
      <Stack gap="md">
        <Text size="sm">
          Sign in again first. Then enter the code that an administrator gives you, and make a new passkey.
        </Text>
        <Group justify="flex-end" className="dialog-actions">
          <Button variant="default" onClick={close}>
            Back
          </Button>
          <Button component="a" href={rules.stepUpPath}>
            Sign in again
          </Button>
        </Group>
      </Stack>
    );
  }
  return (
    <DialogForm
      submit={() => recover.mutate()}
      close={close}
      label="Create passkey"
      problem={problemOf(recover.error, rules)}
      pending={recover.isPending}
      disabled={code.trim() === ''}
    >
      <Text size="sm">
        Ask an administrator for a code. You make a new passkey with it, and{' '}
        <strong>all your earlier ones stop working</strong>.
      </Text>
      <TextInput
        label="Code from an administrator"
        placeholder="XXXXX-XXXXX-XXXXX-XXXXX"
        value={code}
        autoComplete="off"
        spellCheck={false}
        data-autofocus
        classNames={{ input: 'mono' }}
        onChange={(event) => setCode(event.currentTarget.value)}
      />
    </DialogForm>
  );
});
