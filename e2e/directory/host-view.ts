import { forgetName, printed } from '../harness/directory.ts';
import type { Host } from '../harness/lab.ts';
import { until } from '../harness/run.ts';

/** What a host shows of people and groups when sssd has to ask again. */
export interface HostView {
  out(...command: string[]): Promise<string>;
  /** Empty when there is nobody. */
  passwd(name: string): Promise<string>;
  uidOf(name: string): Promise<number>;
  members(group: string): Promise<string[]>;
  sudoListing(name: string): Promise<string>;
  keysOf(name: string): Promise<string>;
}

/** @param host is asked for at every use: tests name it before it is up. */
export function viewOf(host: () => Host): HostView {
  const out = (...command: string[]): Promise<string> => printed(host(), command);
  const passwd = async (name: string): Promise<string> => {
    await forgetName(host(), '-u', name);
    return (await host().exec(['getent', 'passwd', name])).stdout.trim();
  };
  return {
    out,
    passwd,
    uidOf: async (name) => Number((await passwd(name)).split(':')[2]),
    async members(group) {
      await forgetName(host(), '-g', group);
      const line = (await host().exec(['getent', 'group', group])).stdout.trim();
      return (line.split(':')[3] ?? '').split(',').filter(Boolean).sort();
    },
    sudoListing: (name) => out('sudo', '-l', '-U', name),
    async keysOf(name) {
      await forgetName(host(), '-u', name);
      return (await host().exec(['sss_ssh_authorizedkeys', name])).stdout.trim();
    },
  };
}

/** Looks until it is right. @throws with what it was last */
export async function becomes<T>(
  what: string,
  look: () => Promise<T>,
  right: (value: T) => boolean,
  timeoutMs?: number,
): Promise<void> {
  let last: T;
  await until(
    what,
    async () => {
      last = await look();
      return right(last);
    },
    timeoutMs,
  ).catch((error: unknown) => {
    throw new Error(`${(error as Error).message}; it is: ${last}`);
  });
}
