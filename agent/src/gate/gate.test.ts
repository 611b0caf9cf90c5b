import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { createTestGate } from '../testing/test-gate.ts';

describe('gate, granted', () => {
  it('shows link and code, and says yes when a signed approval arrives', async () => {
    await using gate = await createTestGate();
    const hook = gate.sudo();
    const challenge = await gate.server.challenge();
    await hook.says('ABCDEF-123456');
    await gate.server.approve(challenge);
    const result = await hook.result;
    assert.equal(result.granted, true);
    assert.equal(result.trailing, 0);
    console.log(result.text);
  });
});
