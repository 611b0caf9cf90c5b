import { outage } from '../../outage.ts';

export const fault = outage('the database is restarted, as an upgrade does it', { signal: 'INT' });
