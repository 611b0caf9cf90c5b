import type { FakeChallenge, FakeServer } from './fake-server.ts';

/** From now on every request is approved by policy, in the answer to it. */
export function approveByPolicy(server: FakeServer): void {
  server.intercept = async ({ method, path, body, response }) => {
    if (method !== 'POST' || path !== '/challenges') return false;
    const challenge: FakeChallenge = {
      id: 'a'.repeat(32),
      record: body!.record as FakeChallenge['record'],
      counter: 1,
      keysVersion: 1,
      status: 'approved',
      verdict: null,
      polls: 0,
      cancelled: false,
      outcomes: [],
    };
    server.challenges.push(challenge);
    challenge.verdict = await server.verdict(challenge, (verdict) => ({
      ...verdict,
      class: 'policy',
      approvers: [],
      evidence: [],
    }));
    response.writeHead(201, { 'content-type': 'application/json' });
    const times = { expiresAt: Date.now() + 60_000, now: Date.now() };
    response.end(
      JSON.stringify({
        challengeId: challenge.id,
        userCode: 'ABCDEF-123456',
        status: 'approved',
        approvalUrl: 'x',
        ...times,
        approvers: [],
        verdict: challenge.verdict,
        approverKeys: null,
      }),
    );
    return true;
  };
}
