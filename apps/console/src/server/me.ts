import { createContext, useContext } from 'react';
import type { Me } from './api.ts';

/** The person who is signed in. */
export const MeContext = createContext<Me | null>(null);

export function useMe(): Me {
  const me = useContext(MeContext);
  if (!me) throw new Error('outside of a session');
  return me;
}

/** May this session change things? A desktop session looks and denies, nothing else. */
export function useMayChange(): boolean {
  return useMe().sessionKind === 'browser';
}
