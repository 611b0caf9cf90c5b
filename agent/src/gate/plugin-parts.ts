/**
 * What the sudo plugin says of a command: the lists that sudo handed to it, byte for byte. sudo_plugin(5) describes
 * `settings`, `userInfo` and `commandInfo`.
 */
export interface PluginParts {
  settings: Map<string, Buffer>;
  userInfo: Map<string, Buffer>;
  commandInfo: Map<string, Buffer>;
  /** The arguments that the command will get, each ended by NUL. */
  argv: Buffer;
  /** `NAME=value` as the command will get them, each ended by NUL. */
  environment: Buffer;
  /** By what an earlier agent would know the request again; empty at the first time. */
  token: Buffer;
  /** Why sudo did not start the command, in its words. */
  reason: Buffer;
}

/** The letter of each part on the wire; agent/native/plugin-agent.h has the same. */
const LETTERS = {
  s: 'settings',
  u: 'userInfo',
  c: 'commandInfo',
  a: 'argv',
  e: 'environment',
  k: 'token',
  r: 'reason',
} as const satisfies Record<string, keyof PluginParts>;

/** Linux caps arguments and environment together at 6 MiB. */
const MAX_PARTS_BYTES = 8 * 1024 * 1024;

/** `name=value` entries, each ended by NUL; of a name that is there twice, sudo means the last. */
function entries(bytes: Buffer): Map<string, Buffer> {
  const found = new Map<string, Buffer>();
  for (let start = 0; start < bytes.length; ) {
    const nul = bytes.indexOf(0, start);
    const end = nul === -1 ? bytes.length : nul;
    const equals = bytes.indexOf('=', start);
    if (equals > start && equals < end) {
      found.set(bytes.subarray(start, equals).toString('latin1'), bytes.subarray(equals + 1, end));
    }
    start = end + 1;
  }
  return found;
}

/** Collects the parts of one conversation. */
export function createParts(): {
  /** One piece, its letter first. False when that is no part of this protocol, or too much. */
  add(payload: Buffer): boolean;
  end(): PluginParts;
} {
  const pieces = new Map<string, Buffer[]>();
  let size = 0;
  return {
    add(payload) {
      const name = (LETTERS as Record<string, string>)[payload.subarray(0, 1).toString('latin1')];
      size += payload.length;
      if (name === undefined || size > MAX_PARTS_BYTES) return false;
      const list = pieces.get(name);
      if (list) list.push(payload.subarray(1));
      else pieces.set(name, [payload.subarray(1)]);
      return true;
    },
    end() {
      const whole = (name: keyof PluginParts) => {
        const bytes = Buffer.concat(pieces.get(name) ?? []);
        // Megabytes, as long as somebody waits.
        pieces.delete(name);
        return bytes;
      };
      return {
        settings: entries(whole('settings')),
        userInfo: entries(whole('userInfo')),
        commandInfo: entries(whole('commandInfo')),
        argv: whole('argv'),
        environment: whole('environment'),
        token: whole('token'),
        reason: whole('reason'),
      };
    },
  };
}
