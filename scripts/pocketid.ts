import { buildPocketId } from '../e2e/harness/pocketid-program.ts';

/** Builds a real PocketID where there is Go and a proxy that has it, so that no test waits for it. */

const reason = await buildPocketId();
// The tests say so themselves when they are skipped.
if (reason !== null) process.stdout.write(`${reason}\n`);
