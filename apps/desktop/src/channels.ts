/** Names of the messages between the shell's pages and its main process: one per action, none of them general. */
export const CHANNELS = {
  openApproval: 'console:open-approval',
  signIn: 'console:sign-in',
  signOut: 'console:sign-out',
  otherServers: 'console:other-servers',
  showServer: 'console:show-server',
  /** The console says that it listens for links now. */
  linksWanted: 'console:links-wanted',
  /** The console asks whether the server is reached, and is told from then on. */
  reachWanted: 'console:reach-wanted',
  /** To the console. */
  reach: 'console:reach',
  /** To the console. */
  deepLink: 'console:deep-link',

  setupState: 'setup:state',
  saveServer: 'setup:save-server',
  changeServer: 'setup:change-server',
  startSignIn: 'setup:start-sign-in',
  cancelSignIn: 'setup:cancel-sign-in',
  trustCertificate: 'setup:trust-certificate',
  chooseAuthority: 'setup:choose-authority',
  goBack: 'setup:go-back',
  saveProfile: 'setup:save-profile',
  removeProfile: 'setup:remove-profile',
  /** To the setup page. */
  setupChanged: 'setup:changed',
} as const;

/** Start-up argument that carries the window's facts to its preload. */
export const FACTS_ARGUMENT = '--identree-facts=';
