import { visibleText } from '#shared/visible-text.ts';
import type { ViewerResolver } from '../auth/resolve-viewer.ts';
import type { Database } from '../db/database.ts';
import type { Chosen } from './chosen.ts';
import type { Configured, Operator } from './configured.ts';
import { readEarlierFile } from './earlier-file.ts';
import { type Imported, importEarlier } from './import.ts';
import type { Routes } from './route-rules.ts';

/** What came of a file that was given: what was taken over, or what is wrong with all of it. */
export type TakenOver = ({ readonly ok: true } & Imported) | { readonly ok: false; readonly problem: string };

export type TakeOver = (content: string, by: Operator) => Promise<TakenOver>;

/** @returns takes over a file of the Go identree; what is there already stays as it is. Only administrators come here. */
export function createTakeOver(deps: {
  db: Pick<Database, 'query'>;
  people: Pick<ViewerResolver, 'called'>;
  configured: Pick<Configured, 'add' | 'list'>;
  routes: Pick<Routes, 'add' | 'list'>;
  chosen: Pick<Chosen, 'import'>;
}): TakeOver {
  return async (content, by) => {
    const read = readEarlierFile(content);
    if (!read.ok) return { ok: false, problem: visibleText(read.problem) };
    const imported = await importEarlier(read.file, {
      ...deps,
      peopleCalled: (username) => deps.people.called(deps.db.query, username),
      choose: deps.chosen.import,
      by,
    });
    return { ok: true, ...imported, left: imported.left.map(visibleText) };
  };
}
