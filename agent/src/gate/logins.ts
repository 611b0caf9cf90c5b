import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import { hostRecord } from '#shared/decision.ts';
import { sha256 } from '#shared/digest.ts';
import { challengeAnswer } from '#shared/host-api.ts';
import type { BreakGlass } from '../break-glass/enter.ts';
import type { Clock } from '../platform/clock.ts';
import { atomicWrite } from '../state/atomic-write.ts';
import { readTrustedFile } from '../state/trusted-file.ts';
import type { Ask, Asked, Outcome } from './ask.ts';
import type { Hello } from './hello.ts';
import { question, screenOf } from './login.ts';
import type { ProcessReader } from './proc.ts';
import type { Prompt } from './prompts.ts';
import { createRefusedConnections, processKey } from './refused-connections.ts';
import { createVoice, type Say, type Voice } from './terminal-text.ts';

/**
 * SSH logins of hosts where pam_exec starts the stage, which brings nothing back: two stages with a prompt of pam_exec
 * in between. `begin` asks and shows the link, then the person presses Enter and `wait` waits. Both stages have the same
 * parent process.
 */
export interface Logins {
  /** True: go on to the prompt. That alone is no login. */
  begin(hello: Hello & { uid: number }, say: Say, signal: AbortSignal): Promise<boolean>;
  wait(hello: Hello, say: Say, signal: AbortSignal, prompt: Prompt): Promise<Outcome>;
}

interface LoginDeps {
  ask: Ask;
  breakGlass: Pick<BreakGlass, 'enter'>;
  processes: ProcessReader;
  /** Whom people call after a refusal. */
  contact: string | null;
  clock: Clock;
}

/** How long the password may be typed at a login that no server was asked about, milliseconds. */
const OFFLINE_FOR_MS = 120_000;

const PROCESS_LOOK_MS = 1000;

const loginKey = (hello: Hello) => `${processKey(hello)}:${hello.user}:${hello.service}`;

interface Entry {
  key: string;
  controller: AbortController;
  result: Promise<Outcome>;
  deadline: number;
  /** Lines of the wait until a prompt listens. */
  held: string[];
  listener: Say | null;
}

/** The resident agent's logins: the wait starts at once, so that the server knows that the person still waits. */
export function createResidentLogins(deps: LoginDeps): Logins {
  const entries = new Map<string, Entry>();
  const refused = createRefusedConnections(deps.clock);

  const alive = async (hello: Hello) => (await deps.processes.startTime(hello.ppid)) === hello.pstart;

  async function watch(hello: Hello, entry: Entry): Promise<void> {
    const key = processKey(hello);
    while (await alive(hello)) {
      if (entries.get(key) !== entry) return;
      await deps.clock.sleep(PROCESS_LOOK_MS);
    }
    entry.controller.abort();
    if (entries.get(key) === entry) entries.delete(key);
  }

  return {
    async begin(hello, say, signal) {
      const key = processKey(hello);
      const voice = createVoice(say, screenOf(hello));
      // Without a word: the last ones that the person reads are those of the answer.
      if (refused.has(hello)) return false;
      entries.get(key)?.controller.abort();
      entries.delete(key);
      const asked = await deps.ask.open(question(hello), voice, signal);
      if (asked === null) return false;
      const offline = 'kind' in asked;
      const controller = new AbortController();
      const entry: Entry = {
        key: loginKey(hello),
        controller,
        result: Promise.resolve(offline ? asked : { kind: 'refused' }),
        deadline: offline ? deps.clock.monotonic() + OFFLINE_FOR_MS : asked.deadline,
        held: [],
        listener: null,
      };
      const later = createVoice(
        (line) => (entry.listener ? entry.listener(line) : entry.held.push(line)),
        screenOf(hello),
      );
      if (!offline) entry.result = deps.ask.wait(asked, later, { unchanged: () => alive(hello) }, controller.signal);
      entry.result.then(
        ({ kind }) => {
          const answered =
            kind !== 'granted' && kind !== 'left' && kind !== 'unreachable' && !controller.signal.aborted;
          if (answered) refused.add(hello);
        },
        () => undefined,
      );
      if (signal.aborted) {
        controller.abort();
        return false;
      }
      entries.set(key, entry);
      void watch(hello, entry);
      if (offline) voice.sentence('gate.breakGlassNext');
      else voice.sentence(asked.answer.status === 'pending' ? 'gate.pressEnter' : 'gate.approvedPressEnter');
      return true;
    },

    async wait(hello, say, signal, prompt) {
      const key = processKey(hello);
      const voice = createVoice(say, screenOf(hello));
      const entry = entries.get(key);
      if (entry === undefined || entry.key !== loginKey(hello)) {
        voice.refusal(refused.has(hello) ? 'gate.deniedBefore' : 'gate.noRequest', {}, deps.contact);
        return { kind: 'refused' };
      }
      // One approval lets one login in.
      entries.delete(key);
      const stop = () => entry.controller.abort();
      signal.addEventListener('abort', stop, { once: true });
      if (signal.aborted) stop();
      for (const line of entry.held) say(line);
      entry.listener = say;
      const outcome = await entry.result;
      signal.removeEventListener('abort', stop);
      if (outcome.kind === 'unreachable' && !signal.aborted && deps.clock.monotonic() < entry.deadline) {
        const last = { unchanged: () => alive(hello) };
        return deps.breakGlass.enter({ record: outcome.record, voice, prompt, last, signal });
      }
      if (outcome.kind !== 'granted') return outcome;
      const late = deps.clock.monotonic() >= entry.deadline;
      if (late || signal.aborted) {
        if (late) voice.refusal('gate.expired', {}, deps.contact);
        void outcome.settle({ outcome: 'refused', detail: late ? 'too_late' : 'gone' });
        return { kind: late ? 'expired' : 'cancelled' };
      }
      return outcome;
    },
  };
}

const handover = z.strictObject({
  v: z.literal(1),
  key: z.string(),
  record: hostRecord,
  /** Null: no server could be asked. */
  answer: challengeAnswer.nullable(),
  /** Wall clock, milliseconds: the two stages are two processes. */
  endsAt: z.int(),
});

const HANDOVER_LIFE_MS = 3_600_000;

/** Logins of `gate --direct`: each stage is a process of its own, so the request is handed over in a file. */
export function createDirectLogins(
  deps: LoginDeps & {
    /** Folder in the state folder. */
    folder: string;
  },
): Logins {
  const fileOf = (hello: Hello) => join(deps.folder, `${sha256(loginKey(hello))}.json`);

  async function sweep(): Promise<void> {
    for (const name of await readdir(deps.folder)) {
      const path = join(deps.folder, name);
      const content = await readTrustedFile(path, { private: true }).catch(() => null);
      const parsed = content && handover.safeParse(JSON.parse(content.toString('utf8') || 'null'));
      if (!parsed?.success || parsed.data.endsAt + HANDOVER_LIFE_MS < deps.clock.now()) await rm(path, { force: true });
    }
  }

  return {
    async begin(hello, say, signal) {
      const voice: Voice = createVoice(say, screenOf(hello));
      await mkdir(deps.folder, { recursive: true, mode: 0o700 });
      await sweep().catch(() => undefined);
      const asked = await deps.ask.open(question(hello), voice, signal);
      if (asked === null) return false;
      const answer = 'kind' in asked ? null : asked.answer;
      const leftMs = 'kind' in asked ? OFFLINE_FOR_MS : asked.deadline - deps.clock.monotonic();
      const endsAt = Math.floor(deps.clock.now() + leftMs);
      const content = { v: 1, key: loginKey(hello), record: asked.record, answer, endsAt };
      await atomicWrite(fileOf(hello), JSON.stringify(content));
      if (answer === null) voice.sentence('gate.breakGlassNext');
      else voice.sentence(answer.status === 'pending' ? 'gate.pressEnter' : 'gate.approvedPressEnter');
      return true;
    },

    async wait(hello, say, signal, prompt) {
      const voice = createVoice(say, screenOf(hello));
      const path = fileOf(hello);
      const content = await readTrustedFile(path, { private: true });
      // Gone before it is used: a second stage of the same process finds nothing.
      await rm(path, { force: true });
      const parsed = content && handover.safeParse(JSON.parse(content.toString('utf8')));
      if (!parsed?.success || parsed.data.key !== loginKey(hello) || parsed.data.record.user !== hello.user) {
        voice.refusal('gate.noRequest', {}, deps.contact);
        return { kind: 'refused' };
      }
      const { record, answer, endsAt } = parsed.data;
      const leftMs = endsAt - deps.clock.now();
      const last = { unchanged: async () => (await deps.processes.startTime(hello.ppid)) === hello.pstart };
      const enter = () => deps.breakGlass.enter({ record, voice, prompt, last, signal });
      if (answer === null) return leftMs > 0 ? enter() : { kind: 'expired' };
      const asked: Asked = { record, answer, deadline: deps.clock.monotonic() + leftMs, offset: 0 };
      const outcome = await deps.ask.wait(asked, voice, last, signal);
      return outcome.kind === 'unreachable' ? enter() : outcome;
    },
  };
}
