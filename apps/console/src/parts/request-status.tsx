import { Badge } from '@mantine/core';
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

/** What the host did with the answer. */
export function outcomeText(request: Request): string {
  if (request.status !== 'approved')
    return request.status === 'pending' ? 'Waiting for an answer' : 'The command did not run.';
  if (request.outcome === 'granted') {
    if (request.record.gate === 'try') return 'Rehearsal. Nothing ran.';
    return request.record.gate === 'ssh' ? 'The sign-in went through.' : 'The command ran.';
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
