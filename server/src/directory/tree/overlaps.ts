import type { Lint } from '../source/lint.ts';
import type { ServedRule } from './model.ts';

/** People with rules both with and without approval: sudo takes the higher order, which is easy to overlook. */
export function lintOverlaps(rules: readonly ServedRule[], lint: (lint: Lint) => void): void {
  const open = rules.filter(({ options }) => options.includes('!authenticate'));
  if (open.length === 0 || open.length === rules.length) return;
  for (const free of open) {
    const users = new Set(free.sudoUsers);
    const other = rules.find(
      (rule) => !rule.options.includes('!authenticate') && rule.sudoUsers.some((user) => users.has(user)),
    );
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
