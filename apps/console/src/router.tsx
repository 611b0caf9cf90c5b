import { type AnchorHTMLAttributes, useSyncExternalStore } from 'react';
import { CONSOLE_PAGES, type ConsolePath } from '#shared/console.ts';

const listeners = new Set<() => void>();
let arrived = false;
const changed = () => {
  arrived = true;
  for (const listener of listeners) listener();
};
addEventListener('popstate', changed);

const subscribe = (listener: () => void) => {
  listeners.add(listener);
  return () => listeners.delete(listener);
};

/** True once after each change of page: the focus then belongs to the new page's title. False on the first page. */
export function takeArrival(): boolean {
  const was = arrived;
  arrived = false;
  return was;
}

/** Goes to a page of the console, without leaving it. */
export function navigate(to: string, options: { replace?: boolean } = {}): void {
  if (options.replace) history.replaceState(null, '', to);
  else history.pushState(null, '', to);
  changed();
}

/** The page in the address bar; the inbox when it is none of ours (`/index.html` in the desktop app). */
export function usePath(): ConsolePath {
  const here = useSyncExternalStore(subscribe, () => location.pathname);
  return CONSOLE_PAGES.find(({ path }) => path === here)?.path ?? '/';
}

/**
 * Values of the query string by name, and how to change some of them; null: it is not there. A change is a step that the
 * back button takes back, unless it replaces the one before.
 */
export function useQueryValues<Name extends string>(
  ...names: readonly Name[]
): [
  Record<Name, string | null>,
  (changes: Partial<Record<Name, string | null>>, options?: { replace?: boolean }) => void,
] {
  const search = useSyncExternalStore(subscribe, () => location.search);
  const now = new URLSearchParams(search);
  return [
    Object.fromEntries(names.map((name) => [name, now.get(name)])) as Record<Name, string | null>,
    (changes, options) => {
      const next = new URLSearchParams(location.search);
      for (const [name, value] of Object.entries(changes) as [Name, string | null][]) {
        if (value === null) next.delete(name);
        else next.set(name, value);
      }
      const text = next.toString();
      navigate(text ? `${location.pathname}?${text}` : location.pathname, options);
    },
  ];
}

/** One value of the query string, and how to change it. */
export function useQueryValue(name: string): [string | null, (value: string | null) => void] {
  const [values, change] = useQueryValues(name);
  return [values[name] ?? null, (value) => change({ [name]: value })];
}

/** A link within the console: a real one, so that the middle button and the context menu work. */
export function Link({ href, onClick, ...rest }: AnchorHTMLAttributes<HTMLAnchorElement> & { href: string }) {
  return (
    <a
      href={href}
      onClick={(event) => {
        onClick?.(event);
        if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey) return;
        event.preventDefault();
        navigate(href);
        scrollTo({ top: 0 });
      }}
      {...rest}
    />
  );
}
