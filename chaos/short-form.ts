import assert from 'node:assert/strict';
import { basename } from 'node:path';
import { test } from 'node:test';
import { expectedFacts } from './expected.ts';
import { late } from './fault.ts';
import { listFaults } from './list-faults.ts';
import { runFault } from './run-fault.ts';

const short = process.env.IDENTREE_LONG !== '1';
/** The share of the faults that the short form brings about. */
const SHARE = 2;

/** The name of the test file that brings about the faults of a folder: files run beside each other. */
export const testFileOf = (group: string): string => `${group}-faults.test.ts`;

/**
 * Declares a test for each fault of the folder that the test file is named after, one after the other; in the short form
 * for one of two halves, by chance (IDENTREE_SAMPLE repeats it). What is promised of times is said where it was not kept,
 * and fails `npm run chaos` alone: it is no promise of a machine that runs other tests beside it.
 *
 * @param file where the test file lies
 */
export async function testFaults(file: string): Promise<void> {
  const expected = expectedFacts();
  const faults = (await listFaults()).filter(({ group }) => testFileOf(group) === basename(file));
  const sample = Number(process.env.IDENTREE_SAMPLE ?? Math.floor(Math.random() * SHARE));
  for (const fault of short ? faults.filter((_, at) => at % SHARE === sample % SHARE) : faults) {
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
