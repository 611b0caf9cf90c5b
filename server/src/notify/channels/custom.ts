import { z } from 'zod';
import { CommandFailure } from '../../platform/run-command.ts';
import type { Notice } from '../channel.ts';
import { noticeWords, shown } from '../words/words.ts';
import { defineKind, expiresIn, later, locale, wholeSeconds } from './kind.ts';

/** The kernel starts no program with a variable of more than 128 KiB. */
const MAX_VALUE = 8192;

/** What a command is told; docs/notifications.md lists it. Values are text and never part of the command. */
export function commandEnvironment(
  channel: { name: string; title: string; message: string },
  notice: Notice,
  now: number,
): Record<string, string> {
  const { request } = notice;
  const values: Record<string, string> = {
    CHANNEL: channel.name,
    EVENT: notice.event,
    TITLE: channel.title,
    MESSAGE: channel.message,
    USERNAME: notice.username,
    HOSTNAME: notice.hostname,
    USER_CODE: request?.userCode ?? '',
    APPROVAL_URL: request?.approvalUrl ?? '',
    ONETAP_URL: request?.onetapUrl ?? '',
    EXPIRES_IN: String(expiresIn(notice, now)),
    TIMESTAMP: wholeSeconds(notice.at),
    REASON: notice.reason ?? '',
    ACTOR: notice.actor ?? '',
    COMMAND: request?.command ?? '',
    ID: notice.id,
  };
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`NOTIFY_${name}`, shown(value, MAX_VALUE)]));
}

/**
 * A command of the operator's own. A shell reads the command, as it did in the Go identree, and it reads nothing else: who
 * and why are in its environment.
 */
export const custom = defineKind({
  settings: z.strictObject({ locale }),
  shown: ['locale'],
  needs: 'command',
  open({ locale }, { command }, { run, environment, clock, name }) {
    return async (notice, signal, seen) => {
      const now = clock.now();
      const { title, text } = noticeWords(notice, locale, now);
      const told = commandEnvironment({ name, title, message: text }, notice, now);
      const { PATH = '/usr/bin:/bin', HOME = '/' } = environment;
      // What it prints is told to nobody: a command may print what it has read.
      const about = { request: 'a command of the server', secrets: [], answer: '', inside: true };
      seen({ ...about, status: null });
      try {
        await run({ words: ['/bin/sh', '-c', command ?? ''], env: { PATH, HOME, ...told }, input: '', signal });
        seen({ ...about, status: 'ended with 0' });
        return { outcome: 'delivered' };
      } catch (error) {
        if (error instanceof CommandFailure) return later(`the command: ${error.message}`);
        throw error;
      }
    };
  },
});
