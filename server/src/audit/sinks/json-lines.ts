import { constants } from 'node:fs';
import { type FileHandle, lstat, open, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { ReaderFailure } from '../../events/readers.ts';
import type { ReaderTurn } from '../../platform/module.ts';
import { makeFolder, syncFolder } from '../folders.ts';
import { createRecent } from '../recent.ts';
import { type AuditSink, mustBeSure } from '../sink.ts';

const { O_RDWR, O_APPEND, O_CREAT, O_NOFOLLOW, O_NONBLOCK } = constants;
const FILE_MODE = 0o640;
const LINE_FEED = 0x0a;
/** How a line of ours begins: what another program has written is not cut. */
const OURS = Buffer.from('{"seq":');
/**
 * What was written so long before another program cut the file may be gone with it, milliseconds; and as long as it takes to
 * copy the file, octets a millisecond, up to a time that a retention waits for as well.
 */
const WINDOW_MS = 10_000;
const COPIED_PER_MS = 10_000;
const LONGEST_WINDOW_MS = 3_600_000;
const CHUNK = 64 * 1024;
const CUT = 'the file was cut';

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code;

/** @throws Error for what is no file: a link could lead anywhere, and a named pipe would keep the server waiting. */
async function openFile(path: string): Promise<FileHandle> {
  await makeFolder(dirname(path));
  let handle: FileHandle;
  let made = false;
  try {
    handle = await open(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_NONBLOCK);
  } catch (error) {
    if (codeOf(error) === 'ELOOP') throw new Error(`${path} is a symbolic link`);
    if (codeOf(error) === 'ENXIO') throw new Error(`${path} is no file`);
    if (codeOf(error) !== 'ENOENT') throw error;
    handle = await open(path, O_RDWR | O_APPEND | O_NOFOLLOW | O_CREAT, FILE_MODE);
    made = true;
  }
  try {
    if (!(await handle.stat()).isFile()) throw new Error(`${path} is no file`);
    if (made) {
      await handle.chmod(FILE_MODE);
      await syncFolder(dirname(path));
    }
    return handle;
  } catch (error) {
    await handle.close();
    throw error;
  }
}

/** Where the last line begins that has no end, and how it begins. Null: every line has one. */
async function tornLine(handle: FileHandle): Promise<{ at: number; ours: boolean } | null> {
  const { size } = await handle.stat();
  let at = size;
  for (let end = size; end > 0; ) {
    const from = Math.max(0, end - CHUNK);
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(end - from), 0, end - from, from);
    const found = buffer.subarray(0, bytesRead).lastIndexOf(LINE_FEED);
    at = found < 0 ? from : from + found + 1;
    if (found >= 0) break;
    end = from;
  }
  if (at === size) return null;
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(OURS.length), 0, OURS.length, at);
  const begin = buffer.subarray(0, bytesRead);
  return { at, ours: begin.equals(OURS.subarray(0, bytesRead)) };
}

/**
 * Lines of JSON in a file. What is confirmed is on the disk. A line that a crash has torn is cut, since it comes again; one
 * that another program left without an end gets one, and so does one that cannot be cut.
 *
 * @param deps.maxSize octets after which the file is renamed to `.1`; 0: never
 * @param deps.maxFiles how many such files are kept
 * @param deps.now milliseconds of a clock that nobody sets
 */
export function createJsonLines(deps: {
  path: string;
  maxSize: number;
  maxFiles: number;
  now: () => number;
}): AuditSink {
  const { path, maxSize, maxFiles } = deps;
  const recent = createRecent({ now: deps.now, longestMs: LONGEST_WINDOW_MS });
  let handle: FileHandle | null = null;
  /** Its last line is known to have an end. */
  let isMended = false;
  /** The file that was written last, open or not, and its size after that. Null: whatever is there is another one. */
  let last: { dev: number; ino: number } | null = null;
  let size = 0;

  async function letGo(): Promise<void> {
    const before = handle;
    handle = null;
    await before?.close();
  }

  async function beginAnother(): Promise<void> {
    await letGo();
    last = null;
  }

  /** False once the path leads to another file, or to none: an external rotation. */
  async function isStillThere(file: FileHandle): Promise<boolean> {
    const [own, there] = await Promise.all([
      file.stat(),
      lstat(path).catch((error: unknown) => {
        if (codeOf(error) === 'ENOENT') return null;
        throw error;
      }),
    ]);
    return there !== null && there.ino === own.ino && there.dev === own.dev;
  }

  async function openIt(): Promise<FileHandle> {
    const opened = await openFile(path);
    handle = opened;
    isMended = false;
    const { dev, ino } = await opened.stat();
    if (dev !== last?.dev || ino !== last.ino) size = 0;
    last = { dev, ino };
    return opened;
  }

  async function ready(turn: ReaderTurn): Promise<FileHandle> {
    if (handle !== null && !(await isStillThere(handle))) await beginAnother();
    const file = handle ?? (await openIt());
    // Seen before anything is written behind it: see comesAgain.
    if ((await file.stat()).size < size) throw new ReaderFailure(CUT, { retryMs: 0 });
    if (!isMended) {
      await mend(file, turn);
      size = (await file.stat()).size;
      isMended = true;
    }
    if (!isFull()) return file;
    await rotate(turn);
    return ready(turn);
  }

  async function mend(file: FileHandle, turn: ReaderTurn): Promise<void> {
    const torn = await tornLine(file);
    if (torn === null) return;
    // It may be the line that a successor is writing.
    mustBeSure(turn);
    if (!torn.ours || !(await isCut(file, torn.at))) await writeAll(file, Buffer.from('\n'));
    await file.datasync();
  }

  /** False for a file that can only be added to. */
  async function isCut(file: FileHandle, at: number): Promise<boolean> {
    try {
      await file.truncate(at);
      return true;
    } catch (error) {
      if (codeOf(error) === 'EPERM') return false;
      throw error;
    }
  }

  async function writeAll(file: FileHandle, bytes: Buffer): Promise<void> {
    for (let done = 0; done < bytes.length; ) done += (await file.write(bytes, done)).bytesWritten;
  }

  const isFull = (): boolean => maxSize > 0 && size >= maxSize;

  /** Makes room for the file that follows. */
  async function rotate(turn: ReaderTurn): Promise<void> {
    const there = async (n: number) => (await lstat(`${path}.${n}`).catch(() => null)) !== null;
    let oldest = 1;
    while (oldest < maxFiles && (await there(oldest))) oldest += 1;
    mustBeSure(turn);
    if (oldest === maxFiles) await rm(`${path}.${oldest}`, { force: true });
    for (let n = oldest - 1; n >= 1; n -= 1) await rename(`${path}.${n}`, `${path}.${n + 1}`);
    await rename(path, `${path}.1`);
    await beginAnother();
  }

  return {
    name: 'jsonlog',
    batch: 200,
    async deliver(records, turn) {
      let rest = records.map(({ event, text }) => ({ seq: event.seq, line: Buffer.from(`${text}\n`) }));
      while (rest.length > 0) {
        const file = await ready(turn);
        // A file ends with the event that fills it.
        let total = size;
        let count = 0;
        while (count < rest.length && (maxSize === 0 || total < maxSize)) total += rest[count++]!.line.length;
        const group = rest.slice(0, count);
        mustBeSure(turn);
        try {
          await writeAll(file, Buffer.concat(group.map(({ line }) => line)));
          await file.datasync();
        } catch (error) {
          // How much of it is there nobody knows. It is opened and mended anew.
          await letGo().catch(() => {});
          throw error;
        }
        // Of what is smaller than what was written, some may be in neither file by now: see comesAgain.
        const { size: found } = await file.stat();
        size = Math.max(total, found);
        if (found < total) throw new ReaderFailure(CUT, { retryMs: 0 });
        recent.note(group.at(-1)!.seq);
        rest = rest.slice(count);
      }
      // That there is no room for another file is no reason to write these again; the next ones find out.
      if (isFull()) await ready(turn).catch(() => {});
      return null;
    },
    /** Another program copied the file and cut it: what was written in between is in neither. */
    async comesAgain() {
      if (handle === null) return null;
      const cut = (await handle.stat()).size;
      if (cut >= size) return null;
      const after = recent.before(Math.min(WINDOW_MS + size / COPIED_PER_MS, LONGEST_WINDOW_MS));
      const noted = () => {
        size = cut;
        recent.forget();
      };
      if (after !== null) return { after, noted };
      noted();
      return null;
    },
    close: letGo,
  };
}
