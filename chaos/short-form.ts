import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectedFacts } from './expected.ts';
import { late } from './fault.ts';
import { listFaults, type NamedFault } from './list-faults.ts';
import { runFault } from './run-fault.ts';

const short = process.env.IDENTREE_LONG !== '1';

/**
 * Declares a test for each of these faults, one after the other. What is promised of times is said where it was not kept,
 * and fails `npm run chaos` alone: it is no promise of a machine that runs other tests beside it.
 */
export async function testFaults(which: (fault: NamedFault) => boolean): Promise<void> {
  const expected = expectedFacts();
  for (const fault of (await listFaults()).filter((one) => which(one) && (one.inEveryTest || !short))) {
    test(`${fault.name}: ${fault.title}: all is as docs/outage-matrix.md says`, {
      skip: fault.missing() ?? false,
    }, async (t) => {
      const { facts, findings, told, times } = await runFault(fault, { short });
      assert.deepEqual(findings, []);
      assert.ok(told > 0, 'there was something to lose');
      for (const line of late(times)) t.diagnostic(line);
      assert.deepEqual(facts, expected[fault.name]?.facts);
    });
  }
}

export const isOfDatabase = ({ group }: NamedFault): boolean => group === 'database';
