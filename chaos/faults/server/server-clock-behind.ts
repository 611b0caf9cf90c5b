import { wrongClock } from '../../clock.ts';

export const fault = wrongClock('the clock of a server jumps back by ten minutes, and ahead again', {
  of: 'server',
  aheadMinutes: -10,
});
