import { durationText } from '#shared/relative-time.ts';
import type { Request } from '../server/api.ts';

/** What of a request its outcome is told from. */
export type Told = Pick<Request, 'status' | 'outcome' | 'outcomeDetail' | 'run' | 'offline'> & {
  record: Pick<Request['record'], 'gate'>;
};

/** Why a host refuses an approval, by the codes that it sends. */
const REFUSALS = new Map([
  ['target_changed', 'the command, its folder or its program changed after it was approved.'],
  ['verdict_rejected', 'it could not verify the answer.'],
  ['gone', 'nobody was waiting any more.'],
]);

/** What sudo did with the command. */
function runText(run: NonNullable<Request['run']>): string {
  if (run.state === 'started') return 'Running';
  if (run.state === 'refused') return `sudo refused it: ${run.reason || 'it gave no reason.'}`;
  const time = durationText('en', run.durationMs);
  if (run.signal !== null) return `Ended by ${run.signal} after ${time}`;
  return run.exitStatus === null
    ? `sudo lost sight of the command after ${time}`
    : `Ended with status ${run.exitStatus} after ${time}`;
}

/** What became of the request on its host: what was seen there, and never more. */
export function outcomeText(request: Told): string {
  const { gate } = request.record;
  if (request.status === 'pending') return 'Waiting for an answer';
  if (request.status !== 'approved') return gate === 'ssh' ? 'Nobody was let in' : 'Nothing was released';
  if (request.run !== null && gate !== 'try') return runText(request.run);
  if (request.outcome === 'granted') {
    if (gate === 'try') return 'Rehearsal. Nothing ran.';
    if (request.offline !== null) return 'Released to sudo by an offline grant, and told later';
    return gate === 'ssh' ? 'The login was allowed' : 'Released to sudo';
  }
  if (request.outcome === 'refused') {
    const detail = request.outcomeDetail ?? '';
    return `The host refused: ${REFUSALS.get(detail) ?? (detail || 'it gave no reason.')}`;
  }
  return 'The host has not reported what happened.';
}
