import { wrongClock } from '../../clock.ts';

export const fault = wrongClock('the clocks of some hosts jump back by ten minutes, and ahead again', {
  of: 'host',
  aheadMinutes: -10,
});
