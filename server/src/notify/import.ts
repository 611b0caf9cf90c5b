import type { Configured, Operator } from './configured.ts';
import type { EarlierFile } from './earlier-file.ts';
import type { Routes } from './route-rules.ts';
import { routeRule } from './settings.ts';

/** What was taken over, and what was not and why, a sentence each. */
export interface Imported {
  readonly channels: number;
  readonly routes: number;
  readonly people: number;
  readonly left: readonly string[];
}

/**
 * Takes over what a file of the Go identree asks for. What is there already stays as it is, so that it can be run again:
 * a channel by its name, a route by all that it says.
 *
 * @param deps.peopleCalled everybody who has signed in under a user name
 * @param deps.choose writes what a person has chosen; whether that is new
 */
export async function importEarlier(
  file: EarlierFile,
  deps: {
    configured: Pick<Configured, 'add' | 'list'>;
    routes: Pick<Routes, 'add' | 'list'>;
    peopleCalled: (username: string) => Promise<readonly { id: string }[]>;
    choose: (
      personId: string,
      wanted: Extract<EarlierFile, { kind: 'preferences' }>['people'][number],
    ) => Promise<boolean>;
    by: Operator;
  },
): Promise<Imported> {
  const { configured, routes, by } = deps;
  if (file.kind === 'preferences') {
    const left: string[] = [];
    let people = 0;
    for (const one of file.people) {
      const [person, other] = await deps.peopleCalled(one.username);
      if (person === undefined) left.push(`${one.username} has not signed in yet`);
      else if (other !== undefined) left.push(`several people are called ${one.username}`);
      else if (await deps.choose(person.id, one)) people += 1;
      else left.push(`${one.username} has chosen already`);
    }
    return { channels: 0, routes: 0, people, left };
  }
  const left = [...file.left];
  let channels = 0;
  for (const { name, input } of file.channels) {
    const added = await configured.add(name, input, { personal: false }, by);
    if (added.ok) channels += 1;
    else left.push(`the channel ${name}: ${added.problem}`);
  }
  const known = new Set(
    (await routes.list()).flatMap((route) => ('unreadable' in route ? [] : [JSON.stringify(route.rule)])),
  );
  let made = 0;
  const there = new Set((await configured.list()).flatMap(({ name, owner }) => (owner === null ? [name] : [])));
  for (const route of file.routes) {
    const named = route.channels.filter((name) => there.has(name));
    for (const name of route.channels)
      if (!there.has(name)) left.push(`a route names the channel ${name}, which is not there`);
    if (named.length === 0) continue;
    const rule = routeRule.parse({ ...route, channels: named });
    if (known.has(JSON.stringify(rule))) continue;
    known.add(JSON.stringify(rule));
    const added = await routes.add(rule, true, by);
    if (added.ok) made += 1;
    else left.push(`a route: ${added.problem}`);
  }
  return { channels, routes: made, people: 0, left };
}
