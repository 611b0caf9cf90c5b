import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from './fault.ts';

export interface NamedFault extends Fault {
  /** The name of its file, without the ending. */
  name: string;
}

const FOLDER = join(import.meta.dirname, 'faults');

/** Every fault there is, in the order of their names. */
export async function listFaults(): Promise<NamedFault[]> {
  const names = readdirSync(FOLDER)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -'.ts'.length))
    .sort();
  return Promise.all(
    names.map(async (name) => {
      const { fault } = (await import(join(FOLDER, `${name}.ts`))) as { fault: Fault };
      return { name, ...fault };
    }),
  );
}
