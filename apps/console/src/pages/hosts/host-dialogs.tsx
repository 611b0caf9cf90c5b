import { Alert, Button, Checkbox, List, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { useState } from 'react';
import { normaliseHostName } from '#shared/names.ts';
import { CopyLine } from '../../kit/copy-line.tsx';
import { DialogForm, formDialog } from '../../kit/form-dialog.tsx';
import { api, browserApi, type Host, refresh } from '../../server/api.ts';

/** In groups of four, as the host prints it. */
const readable = (fingerprint: string) => fingerprint.match(/.{1,4}/g)?.join(' ') ?? '';

/** Says that it is done, closes the dialog, and asks for the hosts anew. */
const ending = (color: 'green' | 'gray', message: string, close: () => void) => ({
  onSuccess: () => {
    notifications.show({ color, message });
    close();
  },
  onSettled: () => void refresh(api.hosts.pathKey()),
});

/** Confirms the key of a host that enrolled with the shared secret. */
export const ConfirmHostDialog = formDialog<Host>(
  'Confirm a host',
  function ConfirmForm({ about: host, close }) {
    const [pasted, setPasted] = useState('');
    const [byEye, setByEye] = useState(false);
    const [same, setSame] = useState(false);
    const confirm = useMutation(
      browserApi.hosts.confirm.mutationOptions(ending('green', `${host.hostname} is confirmed.`, close)),
    );
    const compact = pasted.replace(/\s/g, '');
    const matches = compact === host.keyFingerprint;
    return (
      <DialogForm
        submit={() => confirm.mutate({ hostId: host.id, fingerprint: host.keyFingerprint })}
        close={close}
        label="Confirm host"
        error={confirm.error}
        pending={confirm.isPending}
        disabled={byEye ? !same : !matches}
      >
        <Text size="sm">
          Somebody with the enrolment secret says that this is <strong>{host.hostname}</strong>
          {host.remoteAddr ? `, from ${host.remoteAddr}` : ''}. Make sure that the key is really that host's:{' '}
          <code className="mono">identree enroll</code> printed it there as “Key of this host”.
        </Text>
        {byEye ? (
          <>
            <CopyLine text={readable(host.keyFingerprint)} label="Copy the fingerprint" />
            <Checkbox
              label="The host printed exactly this, from the first character to the last."
              checked={same}
              onChange={(event) => setSame(event.currentTarget.checked)}
            />
          </>
        ) : (
          <TextInput
            label="Key of this host, as the host printed it"
            value={pasted}
            autoComplete="off"
            spellCheck={false}
            data-autofocus
            classNames={{ input: 'mono' }}
            error={
              compact.length >= 43 && !matches
                ? 'This is another key. Do not confirm; find out which machine enrolled.'
                : undefined
            }
            description={matches ? 'The keys are the same.' : 'Paste it here; spaces do not matter.'}
            onChange={(event) => setPasted(event.currentTarget.value)}
          />
        )}
        <Button variant="subtle" size="compact-sm" className="text-button" onClick={() => setByEye(!byEye)}>
          {byEye ? 'Paste it instead' : 'Compare by eye instead'}
        </Button>
      </DialogForm>
    );
  },
  'lg',
);

/** What quarantine means, and the way out. */
export const ReleaseDialog = formDialog<Host>(
  'A host in two places',
  function ReleaseForm({ about: host, close }) {
    const release = useMutation(
      browserApi.hosts.release.mutationOptions(ending('green', 'The host is released.', close)),
    );
    return (
      <DialogForm
        submit={() => release.mutate({ hostId: host.id })}
        close={close}
        label="The copy is gone, release"
        error={release.error}
        pending={release.isPending}
        tone="danger"
      >
        <Text size="sm">
          Two machines used the identity of <strong>{host.hostname}</strong>. Usually an image was cloned after it was
          enrolled; it can also mean that its keys were stolen. Neither machine gets an approval until you decide.
        </Text>
        <List size="sm" spacing="xs">
          <List.Item>
            A clone: run <code className="mono">sudo identree enroll --replace</code> on the copy with a token of its
            own, then release this host.
          </List.Item>
          <List.Item>Not sure, or stolen: revoke the host and enrol the real machine again.</List.Item>
        </List>
        <Alert className="tone tone-yellow" color="yellow" variant="light">
          After the release, whichever machine asks first with this key is {host.hostname} from then on. Switch the
          other one off first.
        </Alert>
      </DialogForm>
    );
  },
  'lg',
);

/** Ends a host's identity. Its name has to be typed: this cannot be taken back. */
export const RevokeDialog = formDialog<Host>('Revoke a host?', function RevokeForm({ about: host, close }) {
  const [typed, setTyped] = useState('');
  const revoke = useMutation(
    browserApi.hosts.revoke.mutationOptions(ending('gray', `${host.hostname} is revoked.`, close)),
  );
  return (
    <DialogForm
      submit={() => revoke.mutate({ hostId: host.id })}
      close={close}
      label="Revoke host"
      error={revoke.error}
      pending={revoke.isPending}
      disabled={normaliseHostName(typed.trim()) !== host.hostname}
      tone="danger"
    >
      <Text size="sm">
        From now on every request of <strong>{host.hostname}</strong> is refused, sudo on it with them. Make sure that
        you can still become root there. To use the host again, enrol it anew.
      </Text>
      <TextInput
        label={`Type ${host.hostname} to go on`}
        value={typed}
        autoComplete="off"
        spellCheck={false}
        data-autofocus
        onChange={(event) => setTyped(event.currentTarget.value)}
      />
    </DialogForm>
  );
});
