import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { accountName } from '#shared/names.ts';

const person = z.strictObject({
  username: accountName,
  name: z.string().min(1).max(80),
  groups: z.array(z.string().min(1).max(64)),
  /** One sentence for the sign-in page. */
  about: z.string().max(200),
});
export type SamplePerson = z.infer<typeof person>;

const group = z.strictObject({
  name: z.string().min(1).max(64),
  title: z.string().min(1).max(64),
  /** Custom claims; those that begin with `sudo` make a sudo rule. */
  claims: z.record(z.string(), z.string()),
});

const file = z.strictObject({
  adminGroup: z.string().min(1),
  groups: z.array(group).max(20),
  people: z.array(person).min(1).max(20),
});
export type SamplePeople = z.infer<typeof file>;

/** `sub` of a sample person at the built-in identity provider, and their id in the directory. */
export const subjectOf = (username: string): string => `sample-${username}`;

/** The sample people and groups as the file source reads them. */
export function directoryFileOf({ people, groups }: SamplePeople): object {
  return {
    users: people.map(({ username, name }) => {
      const [firstName = '', ...rest] = name.split(' ');
      return {
        id: subjectOf(username),
        username,
        firstName,
        lastName: rest.join(' '),
        displayName: name,
        email: `${username}@example.com`,
        disabled: false,
        customClaims: [],
      };
    }),
    groups: groups.map(({ name, title, claims }) => ({
      id: `sample-group-${name}`,
      name,
      friendlyName: title,
      customClaims: Object.entries(claims).map(([key, value]) => ({ key, value })),
      userIds: people.filter((one) => one.groups.includes(name)).map(({ username }) => subjectOf(username)),
    })),
  };
}

/** The people of the evaluation, from people.json beside this file. @throws when it does not have the right shape. */
export function readPeople(path = new URL('./people.json', import.meta.url)): SamplePeople {
  return file.parse(JSON.parse(readFileSync(path, 'utf8')));
}
