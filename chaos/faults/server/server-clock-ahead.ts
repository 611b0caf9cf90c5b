import { wrongClock } from '../../clock.ts';

export const fault = wrongClock('the clock of a server jumps ahead by ten minutes, and back again', {
  of: 'server',
  aheadMinutes: 10,
});
