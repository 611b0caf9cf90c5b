import { Alert, Button, Group, Modal, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { suggestPasskeyName } from '#shared/webauthn-json.ts';
import { DialogActions } from '../../kit/dialog-actions.tsx';
import {
  api,
  browserApi,
  browserClient,
  messageOf,
  type Outputs,
  type Passkey,
  queryClient,
  refusalOf,
} from '../../server/api.ts';
import { ceremonyMessage, createPasskey, getAssertion } from './webauthn.ts';

type Rules = Outputs['passkeys']['list'];

function refresh(): void {
  void queryClient.invalidateQueries({ queryKey: api.passkeys.pathKey() });
  void queryClient.invalidateQueries({ queryKey: api.me.pathKey() });
}

/** Words for whatever went wrong: on the device, at the server, or on the way. */
const wordsFor = (error: unknown) => ceremonyMessage(error) ?? messageOf(error);

const submit = (run: () => void) => (event: FormEvent) => {
  event.preventDefault();
  run();
};

function Problem({ error, rules }: { error: unknown; rules: Rules }) {
  if (!error) return null;
  return (
    <Alert color="red" className="tone tone-red" role="alert">
      <Stack gap="xs" align="flex-start">
        {wordsFor(error)}
        {refusalOf(error) === 'fresh_sign_in_required' && (
          <Button size="xs" variant="default" component="a" href={rules.stepUpPath}>
            Sign in again
          </Button>
        )}
      </Stack>
    </Alert>
  );
}

function added(name: string): void {
  refresh();
  notifications.show({ color: 'green', message: `${name} is ready.` });
}

/** Adds a passkey: the first after a fresh sign-in, a further one after an existing one said yes. */
export function AddPasskeyDialog({ opened, rules, close }: { opened: boolean; rules: Rules; close: () => void }) {
  return (
    <Modal opened={opened} onClose={close} title="Add a passkey" centered>
      {opened && <AddForm rules={rules} close={close} />}
    </Modal>
  );
}

function AddForm({ rules, close }: { rules: Rules; close: () => void }) {
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
      <form onSubmit={submit(() => prove.mutate())}>
        <Stack gap="md">
          <Text size="sm">
            First use a passkey that you have. Then you make the new one, on this device, a phone or a security key.
          </Text>
          <Problem error={prove.error ?? create.error} rules={rules} />
          <Group justify="flex-end" className="dialog-actions">
            <Button variant="default" onClick={close}>
              Back
            </Button>
            <Button type="submit" loading={prove.isPending} data-autofocus>
              Use a passkey
            </Button>
          </Group>
        </Stack>
      </form>
    );
  }
  return (
    <form onSubmit={submit(() => create.mutate())}>
      <Stack gap="md">
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
        <Problem error={create.error} rules={rules} />
        <Group justify="flex-end" className="dialog-actions">
          <Button variant="default" onClick={close}>
            Back
          </Button>
          <Button
            type="submit"
            loading={create.isPending}
            disabled={name.trim() === '' || (needsCode && code.trim() === '')}
          >
            Create passkey
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

/** After losing every passkey: a code from an administrator and a fresh sign-in. The lost ones stop working. */
export function RecoverDialog({ opened, rules, close }: { opened: boolean; rules: Rules; close: () => void }) {
  return (
    <Modal opened={opened} onClose={close} title="I lost my passkeys" centered>
      {opened && <RecoverForm rules={rules} close={close} />}
    </Modal>
  );
}

function RecoverForm({ rules, close }: { rules: Rules; close: () => void }) {
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
    <form onSubmit={submit(() => recover.mutate())}>
      <Stack gap="md">
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
        <Problem error={recover.error} rules={rules} />
        <Group justify="flex-end" className="dialog-actions">
          <Button variant="default" onClick={close}>
            Back
          </Button>
          <Button type="submit" loading={recover.isPending} disabled={code.trim() === ''}>
            Create passkey
          </Button>
        </Group>
      </Stack>
    </form>
  );
}

export function RenamePasskeyDialog({ passkey, close }: { passkey: Passkey | null; close: () => void }) {
  return (
    <Modal opened={passkey !== null} onClose={close} title="Rename passkey" centered>
      {passkey && <RenameForm key={passkey.credentialId} passkey={passkey} close={close} />}
    </Modal>
  );
}

function RenameForm({ passkey, close }: { passkey: Passkey; close: () => void }) {
  const [name, setName] = useState(passkey.name);
  const rename = useMutation(browserApi.passkeys.rename.mutationOptions({ onSuccess: close, onSettled: refresh }));
  return (
    <form onSubmit={submit(() => rename.mutate({ credentialId: passkey.credentialId, name: name.trim() }))}>
      <Stack gap="md">
        <TextInput
          label="Name"
          value={name}
          maxLength={64}
          data-autofocus
          autoComplete="off"
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <DialogActions
          error={rename.error}
          close={close}
          label="Save"
          pending={rename.isPending}
          disabled={name.trim() === ''}
        />
      </Stack>
    </form>
  );
}

/** Removes a passkey, after one of the person's passkeys said yes. */
export function RemovePasskeyDialog({ passkey, close }: { passkey: Passkey | null; close: () => void }) {
  return (
    <Modal opened={passkey !== null} onClose={close} title="Remove passkey?" centered>
      {passkey && <RemoveForm key={passkey.credentialId} passkey={passkey} close={close} />}
    </Modal>
  );
}

function RemoveForm({ passkey, close }: { passkey: Passkey; close: () => void }) {
  const { credentialId } = passkey;
  const remove = useMutation({
    mutationFn: async () => {
      const assertion = await getAssertion(await browserClient.passkeys.removalOptions.mutate({ credentialId }));
      await browserClient.passkeys.remove.mutate({ credentialId, assertion });
    },
    onSuccess: () => {
      notifications.show({ color: 'gray', message: `${passkey.name} is removed.` });
      close();
    },
    onSettled: refresh,
  });
  return (
    <form onSubmit={submit(() => remove.mutate())}>
      <Stack gap="md">
        <Text size="sm">
          <strong>{passkey.name}</strong> can no longer approve anything. Confirm with any of your passkeys.
        </Text>
        {remove.error && (
          <Alert color="red" className="tone tone-red" role="alert">
            {wordsFor(remove.error)}
          </Alert>
        )}
        <Group justify="flex-end" className="dialog-actions">
          <Button variant="default" onClick={close}>
            Back
          </Button>
          <Button type="submit" color="red.9" loading={remove.isPending} data-autofocus>
            Remove passkey
          </Button>
        </Group>
      </Stack>
    </form>
  );
}
