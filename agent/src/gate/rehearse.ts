import { readFile, readlink } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { accountName } from '#shared/names.ts';
import { openHost } from '../app.ts';
import { TRY_EXIT } from '../exit-codes.ts';
import type { Paths } from '../paths.ts';
import { silentLog } from '../platform/log.ts';
import type { Outcome } from './ask.ts';
import { type Evidence, readReason, sudoEvidence } from './evidence.ts';
import { createProcessReader, type ProcessFacts } from './proc.ts';
import { splitArguments } from './shown-argv.ts';
import type { SudoPolicy } from './sudo-policy.ts';
import { resolveTarget } from './target.ts';
import { createVoice } from './terminal-text.ts';

const PATIENCE_MS = 3000;

/**
 * Nothing runs, and who rehearses need not be root, who alone may ask sudo for its rules: those of common distributions
 * stand in for them.
 */
const USUAL: SudoPolicy = {
  kind: 'sudo',
  securePath: ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin'],
  runAsDefault: 'root',
  keeps: [],
};

/** The words to rehearse as exact bytes: Node decodes argv and loses what is not UTF-8. */
async function rawWords(count: number): Promise<Buffer> {
  const own = splitArguments(await readFile('/proc/self/cmdline'));
  const words = own.slice(own.length - count);
  return Buffer.concat(words.flatMap((word) => [word, Buffer.from([0])]));
}

async function evidenceOf(cmdline: Buffer, facts: ProcessFacts | null, user: string): Promise<Evidence> {
  const words = splitArguments(cmdline);
  const first = words[0]!.toString('latin1');
  const cwd = facts?.cwd ?? null;
  const environ = facts?.environ ?? { sudoReason: null, locale: '', term: '', risky: [] };
  if (/(^|\/)sudo(edit)?$/.test(first)) {
    return sudoEvidence({ cmdline, cwd, environ, program: 'sudo' }, { user, root: '', policy: USUAL });
  }
  const { target, unrestricted } = await resolveTarget(first, { root: '', securePath: USUAL.securePath, asRoot: true });
  return {
    cmdline,
    cwd,
    target,
    mode: 'command',
    unrestricted,
    runAs: { user: 'root', group: null },
    reason: readReason(environ.sudoReason),
    locale: environ.locale,
    term: environ.term,
  };
}

/**
 * `identree try`: the real gate without PAM and without root. It asks, waits and verifies like sudo would; nothing is
 * ever run.
 */
export async function rehearse(
  paths: Paths,
  options: { user: string | null; words: number },
  out: { write(text: string): unknown; columns?: number; rows?: number; isTTY?: boolean },
): Promise<number> {
  const print = (line: string) => out.write(`${line}\n`);
  const user = options.user ?? userInfo().username;
  if (!accountName.safeParse(user).success) {
    print(`  "${user}" is not an account name.`);
    return TRY_EXIT.error;
  }
  const cmdline = await rawWords(options.words);
  const processes = createProcessReader();
  const startTime = (await processes.startTime(process.pid)) ?? '';
  const facts = await processes.capture(process.pid, startTime);
  const evidence = await evidenceOf(cmdline, facts, user);
  const host = await openHost(paths, { log: silentLog });
  const cancelled = new AbortController();
  const onSignal = () => cancelled.abort();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, onSignal);
  const screen = {
    cols: out.columns ?? null,
    rows: out.rows ?? null,
    term: out.isTTY ? evidence.term : '',
    locale: evidence.locale,
  };
  const voice = createVoice(print, screen);
  const unchanged = async () => {
    const now = await evidenceOf(cmdline, await processes.capture(process.pid, startTime), user);
    return JSON.stringify([now.target, now.cwd]) === JSON.stringify([evidence.target, evidence.cwd]);
  };
  try {
    const tty = await readlink('/proc/self/fd/0').catch(() => '');
    const asked = await host.ask.open(
      {
        mayWait: true,
        evidence,
        who: {
          user,
          uid: process.getuid?.() ?? 0,
          gate: 'try',
          service: 'try',
          tty: tty.startsWith('/dev/') && tty !== '/dev/null' ? tty : null,
          origin: null,
        },
      },
      voice,
      cancelled.signal,
    );
    // A rehearsal opens nothing, so nobody is asked for a password.
    if (asked !== null && 'kind' in asked) return TRY_EXIT.error;
    if (asked === null) {
      if (cancelled.signal.aborted) voice.sentence('gate.cancelled');
      return cancelled.signal.aborted ? TRY_EXIT.denied : TRY_EXIT.error;
    }
    if (asked.answer.status === 'pending') voice.sentence('gate.waiting');
    const outcome: Outcome = await host.ask.wait(asked, voice, { unchanged }, cancelled.signal);
    if (outcome.kind === 'granted')
      await Promise.race([outcome.settle({ outcome: 'granted', detail: 'rehearsal' }), processesPause()]);
    if (outcome.kind === 'cancelled' && cancelled.signal.aborted) voice.sentence('gate.cancelled');
    voice.sentence('try.over');
    if (outcome.kind === 'granted') return TRY_EXIT.approved;
    if (outcome.kind === 'expired') return TRY_EXIT.expired;
    return outcome.kind === 'refused' ? TRY_EXIT.error : TRY_EXIT.denied;
  } finally {
    await host.background.drain(PATIENCE_MS);
    host.close();
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.off(name, onSignal);
  }
}

const processesPause = () => new Promise<void>((resolve) => setTimeout(resolve, PATIENCE_MS).unref());
