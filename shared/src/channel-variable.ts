/**
 * The middle of the variables that hold the secrets of a notification channel: capital letters, `-` and `.` as `_`. Names
 * that differ in nothing else would have the same secret.
 */
export const channelVariable = (name: string): string => name.toUpperCase().replace(/[-.]/g, '_');

/** The variable of the server's environment in which a secret of a channel is. */
export const secretVariable = (name: string, what: 'token' | 'command'): string =>
  `IDENTREE_NOTIFY_CHANNEL_${channelVariable(name)}_${what.toUpperCase()}`;
