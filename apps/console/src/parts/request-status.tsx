import { Badge } from '@mantine/core';
import { durationText } from '#shared/relative-time.ts';
import type { Request } from '../server/api.ts';

const STATUS: Record<Request['status'], { color: string; text: string }> = {
  pending: { color: 'indigo', text: 'Waiting' },
  approved: { color: 'green', text: 'Approved' },
  denied: { color: 'red', text: 'Denied' },
  expired: { color: 'gray', text: 'Expired' },
  cancelled: { color: 'gray', text: 'Withdrawn' },
};

/** How a request stands, in one word. */
export function RequestStatus({ status }: { status: Request['status'] }) {
  const { color, text } = STATUS[status];
  return (
    <Badge className={`tone tone-${color}`} variant="light" color={color} size="md">
      {text}
    </Badge>
  );
}

/** What sudo did with the command. */
function runText(run: NonNullable<Request['run']>): string {
  if (run.state === 'started') return 'Running';
  if (run.state === 'refused') return `sudo refused it: ${run.reason || 'it gave no reason.'}`;
  const time = durationText('en', run.durationMs);
  if (run.signal !== null) return `Ended by ${run.signal} after ${time}`;
  return run.exitStatus === null
    ? `Ended after ${time}; sudo could not tell how`
    : `Ended with status ${run.exitStatus} after ${time}`;
}

/** What became of the request on its host: what was seen there, and never more. */
export function outcomeText(request: Request): string {
  const { gate } = request.record;
  if (request.status === 'pending') return 'Waiting for an answer';
  if (request.status !== 'approved') return gate === 'ssh' ? 'Nobody was let in' : 'Nothing was released';
  if (request.run !== null && gate !== 'try') return runText(request.run);
  if (request.outcome === 'granted') {
    if (gate === 'try') return 'Rehearsal. Nothing ran.';
    return gate === 'ssh' ? 'The login was allowed' : 'Released to sudo';
  }
  if (request.outcome === 'refused') {
    const known: Record<string, string> = {
      target_changed: 'the program changed after it was approved.',
      verdict_rejected: 'it could not verify the answer.',
      gone: 'nobody was waiting any more.',
    };
    const detail = request.outcomeDetail ?? '';
    return `The host refused: ${known[detail] ?? (detail || 'it gave no reason.')}`;
  }
  return 'The host has not reported what happened.';
}

/** How strong the approval was. */
export function classText(request: Request): string {
  switch (request.class) {
    case 'passkey':
      return 'Passkey, verified by the host itself';
    case 'session':
      return 'Signed-in session';
    case 'grace':
      return 'Covered by an earlier approval';
    case 'policy':
      return 'Approved by policy';
    default:
      return 'None';
  }
}

export const isUnrestricted = ({ record }: Request): boolean =>
  record.gate !== 'ssh' &&
  (record.unrestricted.length > 0 || ['shell', 'login-shell', 'edit', 'unparsed'].includes(record.mode));
