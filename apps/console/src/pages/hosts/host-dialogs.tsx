import { Alert, Button, Checkbox, Group, List, Modal, Stack, Text, TextInput } from '@mantine/core';
import { notifications } from '@mantine/notifications';
import { useMutation } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { hostName, normaliseHostName } from '#shared/names.ts';
import { CopyLine } from '../../kit/copy-line.tsx';
import { DialogActions } from '../../kit/dialog-actions.tsx';
import { Until } from '../../kit/times.tsx';
import { api, browserApi, type Host, queryClient } from '../../server/api.ts';

const refresh = () => void queryClient.invalidateQueries({ queryKey: api.hosts.pathKey() });

const submit = (run: () => void) => (event: FormEvent) => {
  event.preventDefault();
  run();
};

/** In groups of four, as the host prints it. */
const readable = (fingerprint: string) => fingerprint.match(/.{1,4}/g)?.join(' ') ?? '';

/** A token for one host, and exactly what to type there. */
export function EnrolDialog({ opened, close }: { opened: boolean; close: () => void }) {
  return (
    <Modal opened={opened} onClose={close} title="Enrol a host" size="lg" centered>
      {opened && <EnrolForm close={close} />}
    </Modal>
  );
}

function EnrolForm({ close }: { close: () => void }) {
  const [name, setName] = useState('');
  const create = useMutation(browserApi.hosts.createToken.mutationOptions({ onSuccess: refresh }));
  const normalised = normaliseHostName(name.trim());
  const valid = hostName.safeParse(normalised).success;
  if (create.data) return <EnrolSteps {...create.data} close={close} />;
  return (
    <form onSubmit={submit(() => valid && create.mutate({ hostname: normalised }))}>
      <Stack gap="md">
        <TextInput
          label="Host name"
          description="As the host calls itself; hostname -f shows it. The token works for this name only."
          placeholder="web1.example.com"
          value={name}
          error={name !== '' && !valid ? 'Letters, digits, hyphens and dots only.' : undefined}
          autoComplete="off"
          spellCheck={false}
          data-autofocus
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <DialogActions
          error={create.error}
          close={close}
          label="Create token"
          pending={create.isPending}
          disabled={!valid}
        />
      </Stack>
    </form>
  );
}

function EnrolSteps({
  token,
  hostname,
  expiresAt,
  close,
}: {
  token: string;
  hostname: string;
  expiresAt: number;
  close: () => void;
}) {
  return (
    <Stack gap="md">
      <Text size="sm">
        Run this on <strong>{hostname}</strong> as root, with the identree agent installed.
      </Text>
      <List type="ordered" spacing="md" className="steps" listStyleType="decimal">
        <List.Item>
          Tell the host where its server is.
          <CopyLine
            text={`echo IDENTREE_SERVER_URL=${location.origin} | sudo install -D -m 644 /dev/stdin /etc/identree/client.conf`}
            label="Copy the first command"
          />
        </List.Item>
        <List.Item>
          Enrol. It asks for the token, so that the token is in no history and no process list.
          <CopyLine text={`sudo identree enroll --hostname ${hostname}`} label="Copy the second command" />
          <CopyLine text={token} label="Copy the token" />
        </List.Item>
        <List.Item>
          Start the agent and let identree decide for sudo.
          <CopyLine
            text="sudo systemctl enable --now identree-agent && sudo identree setup --pam sudo,sudo-i"
            label="Copy the third command"
          />
        </List.Item>
      </List>
      <Alert className="tone tone-yellow" color="yellow" variant="light">
        The token is shown only now. It works once and ends <Until at={expiresAt} />.
      </Alert>
      <Group justify="flex-end" className="dialog-actions">
        <Button onClick={close}>Done</Button>
      </Group>
    </Stack>
  );
}

/** Confirms the key of a host that enrolled with the shared secret. */
export function ConfirmHostDialog({ host, close }: { host: Host | null; close: () => void }) {
  return (
    <Modal opened={host !== null} onClose={close} title="Confirm a host" size="lg" centered>
      {host && <ConfirmForm key={host.id} host={host} close={close} />}
    </Modal>
  );
}

function ConfirmForm({ host, close }: { host: Host; close: () => void }) {
  const [pasted, setPasted] = useState('');
  const [byEye, setByEye] = useState(false);
  const [same, setSame] = useState(false);
  const confirm = useMutation(
    browserApi.hosts.confirm.mutationOptions({
      onSuccess: () => {
        notifications.show({ color: 'green', message: `${host.hostname} is confirmed.` });
        close();
      },
      onSettled: refresh,
    }),
  );
  const compact = pasted.replace(/\s/g, '');
  const matches = compact === host.keyFingerprint;
  const ready = byEye ? same : matches;
  return (
    <form onSubmit={submit(() => ready && confirm.mutate({ hostId: host.id, fingerprint: host.keyFingerprint }))}>
      <Stack gap="md">
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
        <DialogActions
          error={confirm.error}
          close={close}
          label="Confirm host"
          pending={confirm.isPending}
          disabled={!ready}
        />
      </Stack>
    </form>
  );
}

/** What quarantine means, and the way out. */
export function ReleaseDialog({ host, close }: { host: Host | null; close: () => void }) {
  const release = useMutation(
    browserApi.hosts.release.mutationOptions({
      onSuccess: () => {
        notifications.show({ color: 'green', message: 'The host is released.' });
        close();
      },
      onSettled: refresh,
    }),
  );
  return (
    <Modal opened={host !== null} onClose={close} title="A host in two places" size="lg" centered>
      {host && (
        <form onSubmit={submit(() => release.mutate({ hostId: host.id }))}>
          <Stack gap="md">
            <Text size="sm">
              Two machines used the identity of <strong>{host.hostname}</strong>. Usually an image was cloned after it
              was enrolled; it can also mean that its keys were stolen. Neither machine gets an approval until you
              decide.
            </Text>
            <List size="sm" spacing="xs">
              <List.Item>
                A clone: run <code className="mono">sudo identree enroll --replace</code> on the copy with a token of
                its own, then release this host.
              </List.Item>
              <List.Item>Not sure, or stolen: revoke the host and enrol the real machine again.</List.Item>
            </List>
            <Alert className="tone tone-yellow" color="yellow" variant="light">
              After the release, whichever machine asks first with this key is {host.hostname} from then on. Switch the
              other one off first.
            </Alert>
            <DialogActions
              error={release.error}
              close={close}
              label="The copy is gone, release"
              pending={release.isPending}
              color="red.9"
            />
          </Stack>
        </form>
      )}
    </Modal>
  );
}

/** Ends a host's identity. Its name has to be typed: this cannot be taken back. */
export function RevokeDialog({ host, close }: { host: Host | null; close: () => void }) {
  return (
    <Modal opened={host !== null} onClose={close} title="Revoke a host?" centered>
      {host && <RevokeForm key={host.id} host={host} close={close} />}
    </Modal>
  );
}

function RevokeForm({ host, close }: { host: Host; close: () => void }) {
  const [typed, setTyped] = useState('');
  const revoke = useMutation(
    browserApi.hosts.revoke.mutationOptions({
      onSuccess: () => {
        notifications.show({ color: 'gray', message: `${host.hostname} is revoked.` });
        close();
      },
      onSettled: refresh,
    }),
  );
  const matches = normaliseHostName(typed.trim()) === host.hostname;
  return (
    <form onSubmit={submit(() => matches && revoke.mutate({ hostId: host.id }))}>
      <Stack gap="md">
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
        <DialogActions
          error={revoke.error}
          close={close}
          label="Revoke host"
          pending={revoke.isPending}
          disabled={!matches}
          color="red.9"
        />
      </Stack>
    </form>
  );
}
