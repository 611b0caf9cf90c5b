import type { Notice } from '../channel.ts';

export const NOTICE_AT = Date.UTC(2026, 10, 30, 12, 0, 0);

/** A request that waits, unless more is said. */
export const noticeOf = (more: Partial<Notice> = {}): Notice => ({
  id: '0195f2a4-7b1c-7000-8000-0123456789ab',
  event: 'challenge_created',
  username: 'alice',
  hostname: 'web1.example.com',
  request: {
    userCode: 'ABCDEF-123456',
    approvalUrl: 'https://identree.example.com/approve/ABCDEF-123456',
    onetapUrl: null,
    expiresAt: NOTICE_AT + 90_000,
    command: '/usr/bin/systemctl restart nginx',
  },
  at: NOTICE_AT,
  reason: 'ticket 4711',
  actor: null,
  folded: 0,
  ...more,
});

/** Further events that are about a request. */
const OF_REQUESTS = ['auto_approved', 'decision_refused', 'grant_used_offline'];

/** As many notices as there are events that people are told of. */
export const aboutEvent = (event: string): Notice => {
  const isRequest = event.startsWith('challenge_') || OF_REQUESTS.includes(event);
  const waits = event === 'challenge_created' || event === 'challenge_expired';
  return noticeOf({ event, actor: waits ? null : 'olga', ...(isRequest ? {} : { request: null }) });
};
