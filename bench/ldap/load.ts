import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { must, run } from '../../e2e/harness/run.ts';
import { encodeRequests, type Operation } from './operations.ts';

/** What a load client measured. Latencies in microseconds. */
export interface Slice {
  ops: number;
  entries: number;
  cpuNs: number;
  wallNs: number;
  p50: number;
  p99: number;
}

export interface Server {
  port: number;
  pid: number;
}

export interface LoadClient {
  /** It was built with OpenSSL. */
  tls: boolean;
  /** Some time of one operation. @throws when an answer was wrong: the run is void then. */
  slice(server: Server, operation: Operation, connections: number, env?: Record<string, string>): Promise<Slice>;
  /** One connection that asks again and again for some milliseconds, while something else is measured. */
  background(server: Server, operation: Operation, milliseconds: number): Promise<void>;
}

/** Builds the client; folder: where it and its requests lie. */
export async function buildLoadClient(folder: string): Promise<LoadClient> {
  const program = join(folder, 'load');
  const common = ['-O2', '-o', program, join(import.meta.dirname, 'load.c')];
  const tls = (await run('cc', [...common, '-DWITH_TLS', '-lssl', '-lcrypto'])).code === 0;
  if (!tls) await must('cc', common);
  const written = new Map<Operation['requests'], string>();

  async function fileOf(operation: Operation): Promise<string> {
    const known = written.get(operation.requests);
    if (known !== undefined) return known;
    const file = join(folder, `${written.size}.requests`);
    await writeFile(file, encodeRequests(operation));
    written.set(operation.requests, file);
    return file;
  }

  return {
    tls,
    async slice(server, operation, connections, env = {}) {
      const [warm, length, least] = operation.perEntry ? [300, 1500, 3] : [200, 500, 1];
      const { depth, mode } = operation;
      const numbers = [server.port, server.pid, connections, depth, warm, length, least].map(String);
      const result = await run(program, [...numbers, mode, await fileOf(operation)], {
        timeoutMs: 120_000,
        env: { ...process.env, ...env } as Record<string, string>,
      });
      if (result.code !== 0) throw new Error(`${operation.name}: the run is void: ${result.stderr}`);
      return JSON.parse(result.stdout) as Slice;
    },
    async background(server, operation, milliseconds) {
      const numbers = [server.port, server.pid, 1, 1, 0, milliseconds, 1].map(String);
      await run(program, [...numbers, operation.mode, await fileOf(operation)], { timeoutMs: 120_000 });
    },
  };
}

/** Microseconds of processor time per operation, or per entry where slices cut operations in two. */
export const costOf = (operation: Operation, { cpuNs, ops, entries }: Slice): number =>
  cpuNs / 1000 / Math.max(1, operation.perEntry ? entries : ops);
