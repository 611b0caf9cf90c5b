import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectedFacts } from './expected.ts';
import { listFaults, type NamedFault } from './list-faults.ts';
import { runFault } from './run-fault.ts';

const short = process.env.IDENTREE_LONG !== '1';

/** Declares a test for each of these faults, one after the other: what is promised of times is no promise of a busy machine. */
export async function testFaults(which: (fault: NamedFault) => boolean): Promise<void> {
  const expected = expectedFacts();
  for (const fault of (await listFaults()).filter(which)) {
    test(`${fault.name}: ${fault.title}: all is as docs/outage-matrix.md says`, {
      skip: fault.missing() ?? false,
    }, async () => {
      const { facts, findings, told } = await runFault(fault, { short });
      assert.deepEqual(findings, []);
      assert.ok(told > 0, 'there was something to lose');
      assert.deepEqual(facts, expected[fault.name]?.facts);
    });
  }
}

export const isOfDatabase = ({ name }: NamedFault): boolean => name.startsWith('database-');
