import type { Logger } from 'pino';
import type { Database } from '../db/database.ts';
import type { EventLog } from '../events/log.ts';
import type { Viewer } from '../http/viewer.ts';
import { insertShown, wasShown } from './shown-store.ts';
import type { StoredChallenge } from './store.ts';
import type { ChallengeView } from './view.ts';

/** Where a request is shown to a person, alone and with all that is known of it. */
export type ShownIn = 'approval_page' | 'console';

type Shown = Pick<StoredChallenge, 'id' | 'username' | 'host_id' | 'hostname' | 'user_code'>;
type Can = Pick<ChallengeView, 'status' | 'can'>;

export type NoteShown = (viewer: Viewer, challenge: Shown, view: Can, where: ShownIn) => Promise<void>;

/**
 * That a request was shown to somebody who may decide it, once for each person: whoever may look can look as often as they
 * like and write nothing more. That they read it nobody can know.
 *
 * What cannot be written keeps nobody from looking: a person who waits is worth more than this line.
 */
export function createNoteShown(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  log: Pick<Logger, 'error'>;
}): NoteShown {
  const { db, events } = deps;
  return async (viewer, challenge, { status, can }, where) => {
    if (status !== 'pending' || !(can.approve || can.deny)) return;
    const { person } = viewer;
    const row = { challenge_id: challenge.id, person_id: person.id };
    try {
      if (await wasShown(db.query, row)) return;
      await db.transaction(async (work) => {
        if (!(await insertShown(work, row))) return;
        await events.append(work, {
          event: 'challenge_shown',
          username: challenge.username,
          hostId: challenge.host_id,
          hostname: challenge.hostname,
          challengeId: challenge.id,
          code: challenge.user_code,
          actor: person.username,
          remoteAddr: viewer.remoteAddr,
          data: {
            where,
            sessionKind: viewer.session.kind,
            person: { issuer: person.issuer, subject: person.subject },
          },
        });
      });
    } catch (err) {
      deps.log.error({ err, challengeId: challenge.id }, 'that a request was shown cannot be written to the log');
    }
  };
}
