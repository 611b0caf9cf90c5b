import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { parse as parseYaml, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { eachInSlices } from '../../platform/slices.ts';
import type { Lint } from './lint.ts';
import { type SourceGroup, type SourceUser, toSnapshot } from './model.ts';
import { type ReadRecord, readGroup, readUser } from './record.ts';
import type { DirectorySource, FetchResult, SourceProblem } from './source.ts';

const MAX_BYTES = 256 * 1024 * 1024;
/** YAML is written by hand; its parser takes a second for this much, in which nothing else happens. */
const MAX_YAML_BYTES = 4 * 1024 * 1024;
const LOOK_EVERY_MS = 1000;

const envelope = z.object({ users: z.array(z.unknown()), groups: z.array(z.unknown()) });

const failed = (code: SourceProblem['code'], message: string): FetchResult => ({
  ok: false,
  problem: { code, message },
});

/**
 * Reads text of the kind that the file's name says. YAML is read by its core schema with unique keys: no dates, no types of
 * its own, and no alias that unfolds into gigabytes.
 *
 * @returns the line at which it cannot be read, counted from one, where the parser knows it
 */
function parseText(path: string, content: string): { ok: true; value: unknown } | { ok: false; line: number | null } {
  try {
    const value: unknown = isYaml(path)
      ? parseYaml(content, { schema: 'core', uniqueKeys: true, maxAliasCount: 100, logLevel: 'error' })
      : JSON.parse(content);
    return { ok: true, value };
  } catch (error) {
    if (error instanceof YAMLParseError) return { ok: false, line: error.linePos?.[0].line ?? null };
    // The message itself quotes the file, which may hold what no log should.
    const line = /\bline (\d{1,9}) column \d+/.exec(error instanceof SyntaxError ? error.message : '')?.[1];
    return { ok: false, line: line === undefined ? null : Number(line) };
  }
}

const isYaml = (path: string): boolean => /\.ya?ml$/i.test(path);

/**
 * A JSON or YAML file in PocketID's own shapes, so that an export of PocketID is a valid file. Read again when it
 * changes; a file that others may write is refused, because it decides who is root.
 *
 * @param options.issuer identity of every record that names none: the issuer that people sign in with.
 */
export function createFileSource(options: {
  path: string;
  issuer: string;
  /** Milliseconds between two looks of `watch`. */
  lookEveryMs?: number;
}): DirectorySource {
  const { path } = options;
  let seen: { identity: string; result: FetchResult } | undefined;

  const identityOf = (info: { ino: number; size: number; mtimeMs: number; ctimeMs: number }) =>
    `${info.ino}:${info.size}:${info.mtimeMs}:${info.ctimeMs}`;

  async function withFile<T>(
    run: (file: Awaited<ReturnType<typeof open>>, identity: string) => Promise<T>,
  ): Promise<T | FetchResult> {
    let file: Awaited<ReturnType<typeof open>>;
    try {
      // O_NONBLOCK: opening a pipe that was put there must not wait for a writer.
      file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    } catch (error) {
      const code = (error as NodeJS.ErrnoException).code ?? 'cannot be opened';
      return failed('unreachable', code === 'ELOOP' ? `${path}: is a symbolic link` : `${path}: ${code}`);
    }
    try {
      const info = await file.stat();
      if (!info.isFile()) return failed('invalid', `${path}: not a regular file`);
      if ((info.mode & 0o022) !== 0) return failed('invalid', `${path}: writable by group or others`);
      if (info.size > MAX_BYTES) return failed('invalid', `${path}: larger than 256 MiB`);
      if (isYaml(path) && info.size > MAX_YAML_BYTES) {
        return failed('invalid', `${path}: larger than 4 MiB, which is too much for YAML. Write it as JSON`);
      }
      return await run(file, identityOf(info));
    } finally {
      await file.close();
    }
  }

  async function parse(content: string, signal: AbortSignal): Promise<FetchResult> {
    const read = parseText(path, content);
    if (!read.ok) {
      const where = read.line === null ? '' : `, at line ${read.line}`;
      return failed('invalid', `${path}: not valid ${isYaml(path) ? 'YAML' : 'JSON'}${where}`);
    }
    const outer = envelope.safeParse(read.value);
    if (!outer.success) return failed('invalid', `${path}: needs "users" and "groups"`);
    const users: SourceUser[] = [];
    const groups: SourceGroup[] = [];
    const lints: Lint[] = [];
    const leftOut = { users: [] as string[], groups: [] as string[] };
    let problem: string | undefined;
    const collect =
      <T>(read: (item: unknown, index: number) => ReadRecord<T>, into: T[], names: string[]) =>
      ([index, item]: [number, unknown]) => {
        const one = read(item, index);
        if (one.kind === 'refused') problem ??= one.problem;
        else if (one.kind === 'left_out') {
          names.push(one.name);
          lints.push(one.lint);
        } else {
          into.push(one.record);
          lints.push(...one.lints);
        }
      };
    await eachInSlices(outer.data.users.entries(), collect(readUser, users, leftOut.users), signal);
    await eachInSlices(outer.data.groups.entries(), collect(readGroup, groups, leftOut.groups), signal);
    // Not one of many: the file is of another shape.
    if (leftOut.users.length > 0 && users.length === 0) problem ??= `${lints[0]!.subject}: ${lints[0]!.detail}`;
    if (problem !== undefined) return failed('invalid', `${path}: ${problem}`);
    const result = toSnapshot({ users, groups }, options.issuer);
    return result.ok
      ? { ...result, lints, groupsLeftOut: leftOut.groups }
      : failed('inconsistent', `${path}: ${result.problem}`);
  }

  return {
    name: 'file',
    async fetch(signal) {
      signal.throwIfAborted();
      return withFile(async (file, identity) => {
        if (seen?.identity === identity) return seen.result;
        const content = await file.readFile({ encoding: 'utf8', signal });
        // A writer that is not done yet: what was read is neither the old nor the new file.
        if (identityOf(await file.stat()) !== identity)
          return failed('inconsistent', `${path}: changed while it was read`);
        const result = await parse(content, signal);
        seen = { identity, result };
        return result;
      }) as Promise<FetchResult>;
    },
    watch(onChange) {
      let last: string | undefined;
      let looking = false;
      const look = async () => {
        if (looking) return;
        looking = true;
        try {
          const now = await withFile(async (_file, identity) => identity);
          const state = typeof now === 'string' ? now : JSON.stringify(now);
          if (last !== undefined && state !== last) onChange();
          last = state;
        } finally {
          looking = false;
        }
      };
      void look();
      const timer = setInterval(() => void look(), options.lookEveryMs ?? LOOK_EVERY_MS).unref();
      return () => clearInterval(timer);
    },
  };
}
