import type { Lint } from '../source/lint.ts';
import type { ServedRule } from './model.ts';

/** People with rules both with and without approval: sudo takes the higher order, which is easy to overlook. */
export function lintOverlaps(rules: readonly ServedRule[], lint: (lint: Lint) => void): void {
  const open = rules.filter(({ options }) => options.includes('!authenticate'));
  if (open.length === 0 || open.length === rules.length) return;
  /** The first rule with approval for each, by its place: to look through all rules for each rule takes the square of them. */
  const asking = new Map<string, number>();
  for (const [place, { options, sudoUsers }] of rules.entries()) {
    if (options.includes('!authenticate')) continue;
    for (const user of sudoUsers) if (!asking.has(user)) asking.set(user, place);
  }
  for (const free of open) {
    const place = free.sudoUsers.reduce((first, user) => Math.min(first, asking.get(user) ?? first), rules.length);
    const other = rules[place];
    if (other) {
      const winner = (free.order ?? 0) > (other.order ?? 0) ? free.cn : other.cn;
      lint({
        code: 'sudo_overlap_auth',
        subject: `rule ${free.cn}`,
        detail: `overlaps with ${other.cn}; ${winner} has the higher order`,
      });
    }
  }
}
