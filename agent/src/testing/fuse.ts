import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, read, writeSync } from 'node:fs';
import { promisify } from 'node:util';

/** The file system of an ordinary account, which answers for as long as that likes. */
export interface UsersFileSystem {
  /** From now on nobody hears anything from it. */
  hush(): void;
  /** Unmounts it; resolves once nobody is in it any more. */
  end(): Promise<void>;
}

const GETATTR = 3;
const INIT = 26;
const OPENDIR = 27;
const OUT_HEADER = 16;
const IN_HEADER = 40;
const ENOSYS = -38;

/** FUSE, version 7.31 (linux/fuse.h). */
function init(): Buffer {
  const out = Buffer.alloc(64);
  out.writeUInt32LE(7, 0);
  out.writeUInt32LE(31, 4);
  out.writeUInt32LE(65_536, 20);
  out.writeUInt32LE(1, 24);
  return out;
}

/** A folder, which is to be asked about each time. */
function attributes(uid: number): Buffer {
  const out = Buffer.alloc(104);
  out.writeBigUInt64LE(1n, 16);
  out.writeUInt32LE(0o40755, 76);
  out.writeUInt32LE(2, 80);
  out.writeUInt32LE(uid, 84);
  return out;
}

const ANSWERS: Record<number, (uid: number) => Buffer> = {
  [GETATTR]: attributes,
  [INIT]: init,
  [OPENDIR]: () => Buffer.alloc(16),
};

/** Mounts one at a folder, open to all accounts (`allow_other`). As root, and where there is /dev/fuse. */
export async function mountUsersFileSystem(point: string, uid: number): Promise<UsersFileSystem> {
  const device = openSync('/dev/fuse', 'r+');
  const mount = spawn(
    'mount',
    ['-i', '-t', 'fuse', '-o', `fd=3,rootmode=40000,user_id=${uid},group_id=${uid},allow_other`, 'x', point],
    { stdio: ['ignore', 'ignore', 'inherit', device] },
  );
  await once(mount, 'exit');
  let hushed = false;

  async function serve(): Promise<void> {
    const bytes = Buffer.alloc(256 * 1024);
    while (!hushed) {
      const { bytesRead } = await promisify(read)(device, bytes, 0, bytes.length, null);
      if (hushed || bytesRead < IN_HEADER) return;
      const operation = bytes.readUInt32LE(4);
      const body = ANSWERS[operation]?.(uid) ?? null;
      const header = Buffer.alloc(OUT_HEADER);
      header.writeUInt32LE(OUT_HEADER + (body?.length ?? 0), 0);
      header.writeInt32LE(body === null ? ENOSYS : 0, 4);
      bytes.copy(header, 8, 8, 16);
      writeSync(device, body === null ? header : Buffer.concat([header, body]));
    }
  }

  // Until it is unmounted.
  const served = serve().catch(() => undefined);
  return {
    hush() {
      hushed = true;
    },
    async end() {
      await once(spawn('umount', ['-l', point], { stdio: 'inherit' }), 'exit');
      closeSync(device);
      await served;
    },
  };
}
