import { fetchKeycloak } from '../e2e/harness/keycloak-program.ts';

/** Fetches a real Keycloak where there is Java and Maven, so that no test waits for it. */

const reason = await fetchKeycloak();
// The tests say so themselves when they are skipped.
if (reason !== null) process.stdout.write(`${reason}\n`);
