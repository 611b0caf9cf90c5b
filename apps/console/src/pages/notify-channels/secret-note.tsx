import { Text } from '@mantine/core';
import { secretVariable } from '#shared/channel-variable.ts';
import { CHANNEL_FORMS, type ChannelKind } from './channel-forms.ts';

/** Where the secret of a channel is: never here. */
export function SecretNote({ kind, name }: { kind: ChannelKind; name: string }) {
  const { secret } = CHANNEL_FORMS[kind];
  if (secret === null) return null;
  return (
    <div>
      <Text size="sm" fw={600}>
        Secret
      </Text>
      <Text size="sm" c="dimmed" className="break">
        {secret.about} It goes into the environment of the server, as{' '}
        <code className="mono">{secretVariable(name || '<name>', secret.what)}</code>, which is read when the server
        starts. It is neither typed nor shown here.
      </Text>
    </div>
  );
}
