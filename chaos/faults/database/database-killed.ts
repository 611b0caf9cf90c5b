import { outage } from '../../outage.ts';

export const fault = outage('the database is killed, and started again', { signal: 'QUIT' });
