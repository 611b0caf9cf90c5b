import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Fault } from './fault.ts';

export interface NamedFault extends Fault {
  /** The name of its file, without the ending. */
  name: string;
  /** The name of the folder in which its file lies. */
  group: string;
}

const FOLDER = join(import.meta.dirname, 'faults');

/** Every fault there is, in the order of their names. */
export async function listFaults(): Promise<NamedFault[]> {
  const files = readdirSync(FOLDER).flatMap((group) =>
    readdirSync(join(FOLDER, group)).map((file) => ({ group, name: file.slice(0, -'.ts'.length) })),
  );
  const faults = files.map(async ({ group, name }) => {
    const { fault } = (await import(join(FOLDER, group, `${name}.ts`))) as { fault: Fault };
    return { name, group, ...fault };
  });
  return (await Promise.all(faults)).sort((a, b) => (a.name < b.name ? -1 : 1));
}
