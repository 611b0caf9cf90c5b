import { wrongClock } from '../../clock.ts';

export const fault = wrongClock('the clocks of some hosts jump ahead by ten minutes, and back again', {
  of: 'host',
  aheadMinutes: 10,
});
