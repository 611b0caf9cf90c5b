import { testFaults } from './short-form.ts';

await testFaults(import.meta.filename);
