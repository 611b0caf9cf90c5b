import type { Callers } from '../auth/callers.ts';
import type { Showing } from '../challenges/showing.ts';
import { showRefusals } from '../pages/plain-page.ts';
import type { Module } from '../platform/module.ts';
import { approvalPageRoutes } from './routes.ts';

/** The page behind the link. */
export function approvalPageModule(others: {
  callers: Pick<Callers, 'viewerOf' | 'limits'>;
  challenges: Pick<Showing, 'approval'>;
}): Module {
  const { callers, challenges } = others;
  return {
    name: 'approval page',
    routes: [
      async (scope) => {
        showRefusals(scope);
        await approvalPageRoutes(scope, { ...callers, challenges });
      },
    ],
  };
}
