import { createEngine, type Engine } from '../engine/engine.ts';
import type { Span } from '../protocol/request.ts';
import { equalsFolded } from '../schema/schema.ts';
import { buildSingle } from '../snapshot/build-snapshot.ts';
import { type RootFacts, rootDse } from './root-dse.ts';
import { SUBSCHEMA } from './subschema-entry.ts';

/** Engines over one entry each, so that filters, selection and compare mean the same everywhere. */
export interface SpecialEntries {
  root(facts: RootFacts): Engine;
  subschema: Engine;
}

export function createSpecialEntries(): SpecialEntries {
  const roots = new Map<string, Engine>();
  return {
    root(facts) {
      const key = JSON.stringify(facts);
      const known = roots.get(key);
      if (known !== undefined) return known;
      // Every new snapshot has its own update number.
      if (roots.size >= 16) roots.clear();
      const engine = createEngine(buildSingle(rootDse(facts)));
      roots.set(key, engine);
      return engine;
    },
    subschema: createEngine(buildSingle(SUBSCHEMA)),
  };
}

const SUBSCHEMA_BYTES = Buffer.from(SUBSCHEMA.dn);

/** Whether a name is `cn=subschema`, as every client spells it. */
export const isSubschema = (bytes: Uint8Array, { start, end }: Span): boolean =>
  equalsFolded(SUBSCHEMA_BYTES, bytes, start, end);
