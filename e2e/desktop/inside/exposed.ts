/** All that a page of the console is given by the desktop app, in order. */
export const EXPOSED = [
  'onDeepLink',
  'onReach',
  'openApproval',
  'otherServers',
  'platform',
  'profile',
  'showServer',
  'signIn',
  'signOut',
  'version',
] as const;
