import type { Locale } from './messages.ts';

/**
 * The language of the console's pages, whatever the browser or the desktop speaks: what stands inside a page is in the
 * language of the page. The catalogues of what stands there have others too.
 */
export const CONSOLE_LOCALE: Locale = 'en';

/** A page of the console: its place, its name, who may open it, and what it asks the server. */
export interface ConsolePage {
  readonly path: `/${string}`;
  /** In the navigation and the title of the window. */
  readonly title: string;
  /** `admin`: only administrators see it. */
  readonly role: 'anyone' | 'admin';
  /** Every query that the page sends in the desktop app, too. One that is missing here is a type error in the console. */
  readonly queries: readonly string[];
  /** What can be changed from the desktop app. Everything else can only be changed in a browser. */
  readonly mutations?: readonly string[];
}

/**
 * The pages of the console, in the order of the navigation. The paths that the server answers, navigation and router of
 * the console, and what the desktop app lets through follow from this.
 */
export const CONSOLE_PAGES = [
  {
    path: '/',
    title: 'Inbox',
    role: 'anyone',
    queries: ['challenges.inbox', 'challenges.get'],
    mutations: ['challenges.deny'],
  },
  {
    path: '/history',
    title: 'History',
    role: 'anyone',
    queries: ['challenges.history', 'challenges.get', 'audit.events.list', 'audit.events.get'],
    mutations: ['challenges.deny'],
  },
  {
    path: '/hosts',
    title: 'Hosts',
    role: 'admin',
    queries: ['hosts.list', 'hosts.checks', 'hosts.journals', 'breakGlass.list', 'challenges.history'],
  },
  { path: '/people', title: 'People', role: 'admin', queries: ['people.list', 'people.signIn'] },
  {
    path: '/directory',
    title: 'Directory',
    role: 'admin',
    queries: [
      'directory.status',
      'directory.accounts',
      'directory.lints',
      'directory.holds',
      'sudoRules.list',
      'scim.clients',
    ],
  },
  {
    path: '/sudo-rules',
    title: 'Sudo rules',
    role: 'admin',
    queries: [
      'directory.status',
      'directory.lints',
      'sudoRules.list',
      'sudoRules.served',
      'sudoRules.simulate',
      'hosts.list',
    ],
  },
  {
    path: '/audit-sinks',
    title: 'Audit sinks',
    role: 'admin',
    queries: ['audit.sinks.list', 'audit.deadLetters.list'],
  },
  {
    path: '/notify-channels',
    title: 'Notification channels',
    role: 'admin',
    queries: ['notify.channels.list', 'notify.routes.list'],
  },
  {
    path: '/notify-routes',
    title: 'Notification routes',
    role: 'admin',
    queries: ['notify.routes.list', 'notify.channels.list', 'notify.explain', 'audit.events.list'],
  },
  {
    path: '/notify-deliveries',
    title: 'Notification deliveries',
    role: 'admin',
    queries: ['notify.deliveries.list', 'notify.deliveries.get', 'notify.channels.list'],
  },
  { path: '/passkeys', title: 'My passkeys', role: 'anyone', queries: ['passkeys.list'] },
  {
    path: '/my-notifications',
    title: 'My notifications',
    role: 'anyone',
    queries: [
      'notify.channels.list',
      'notify.preferences.get',
      'notify.deliveries.get',
      'notify.events',
      'notify.week',
    ],
  },
  { path: '/sessions', title: 'Sessions', role: 'anyone', queries: ['sessions.list'] },
] as const satisfies readonly ConsolePage[];

/** What the console asks around every page. */
export const CONSOLE_FRAME = {
  queries: ['me.get', 'challenges.inbox', 'challenges.get', 'directory.status', 'notify.onScreen'],
} as const;

type Page = (typeof CONSOLE_PAGES)[number];

/** Path of a page of the console. */
export type ConsolePath = Page['path'];

/** The pages that somebody of this role may open, in the order of the navigation. */
export function pagesFor(role: 'user' | 'admin'): Page[] {
  return CONSOLE_PAGES.filter((page) => page.role === 'anyone' || role === 'admin');
}

/** The page that somebody of this role is shown at a path: the inbox where there is none for them. */
export function pageAt(path: string, role: 'user' | 'admin'): Page {
  return pagesFor(role).find((page) => page.path === path) ?? CONSOLE_PAGES[0];
}

/** Procedures that the console calls wherever it runs, by name. */
export type ConsoleProcedure =
  | Page['queries'][number]
  | Extract<Page, { mutations: unknown }>['mutations'][number]
  | (typeof CONSOLE_FRAME)['queries'][number];

/** Every procedure that the desktop app may call for the console, and how. */
export function consoleProcedures(): Record<string, 'query' | 'mutation'> {
  const pages: readonly ConsolePage[] = CONSOLE_PAGES;
  const all = (names: readonly string[], kind: 'query' | 'mutation') => names.map((name) => [name, kind] as const);
  return Object.fromEntries([
    ...pages.flatMap(({ queries, mutations = [] }) => [...all(queries, 'query'), ...all(mutations, 'mutation')]),
    ...all(CONSOLE_FRAME.queries, 'query'),
  ]);
}
