import { estimateSize, FILLED, type Filled, fill } from '../engine/cursor.ts';
import { OP, RESULT, type ResultCode } from '../protocol/operation.ts';
import { pagingControl, type ResultDetails, writeResult, writeSuccess } from '../protocol/response.ts';
import { chargeWork } from './pace.ts';
import { keepPage } from './pages.ts';
import type { Running, Session } from './session.ts';
import { observeSearch } from './stats.ts';

const EMPTY = Buffer.alloc(0);

function done(session: Session, running: Running, code: ResultCode, details: ResultDetails = {}): void {
  const { context } = session;
  const controls = running.paged === null ? [] : [pagingControl(0, EMPTY)];
  if (code === RESULT.success && controls.length === 0) writeSuccess(context.output, running.messageId, OP.searchDone);
  else writeResult(context.output, running.messageId, OP.searchDone, code, { ...details, controls });
  context.stats.entries += running.cursor.sent;
  observeSearch(context.stats, context.now() - running.startedAt);
}

function pageDone(session: Session, running: Running): void {
  const { context } = session;
  const cookie = Buffer.from(context.randomBytes(32));
  const { limits } = context.settings;
  const page = { cookie, fingerprint: running.paged!, cursor: running.cursor, usedAt: context.now() };
  keepPage(session.pages, page, limits.cursors);
  const controls = [pagingControl(estimateSize(running.cursor), cookie)];
  writeResult(context.output, running.messageId, OP.searchDone, RESULT.success, { controls });
  observeSearch(context.stats, context.now() - running.startedAt);
}

/**
 * Works on a search for as long as the budget allows and writes its end when it is reached.
 *
 * @returns true when it is finished.
 */
export function advance(session: Session, running: Running, budget: { left: number }): boolean {
  const { context } = session;
  const before = context.now();
  const { limits } = context.settings;
  const late =
    (running.timeLimit > 0 && before - running.startedAt > running.timeLimit) || running.worked > limits.searchTime;
  // An entry that has been begun is finished first: half a message would end the conversation.
  if (late && running.cursor.remainder === null) {
    done(session, running, RESULT.timeLimitExceeded);
    return true;
  }
  const { left } = budget;
  const outcome: Filled = fill(running.cursor, running.messageId, context.output, budget);
  chargeWork(session, left - budget.left);
  switch (outcome) {
    case FILLED.more:
      running.worked += context.now() - before;
      return false;
    case FILLED.page:
      pageDone(session, running);
      return true;
    case FILLED.sizeLimit:
      if (running.serverLimit) {
        const identity = session.identity?.dn ?? null;
        context.report({ kind: 'size-limit', address: session.transport.address, identity });
      }
      done(session, running, RESULT.sizeLimitExceeded);
      return true;
    case FILLED.effort:
      done(session, running, RESULT.adminLimitExceeded, { text: 'filter takes too much work' });
      return true;
    // sssd asks once per member then.
    case FILLED.dereference:
      done(session, running, RESULT.unavailableCriticalExtension, { text: 'an entry has too much to dereference' });
      return true;
    default:
      done(session, running, RESULT.success);
      return true;
  }
}
