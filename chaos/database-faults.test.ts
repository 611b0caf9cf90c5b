import { isOfDatabase, testFaults } from './short-form.ts';

await testFaults(isOfDatabase);
