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

const file = z.strictObject({ adminGroup: z.string().min(1), people: z.array(person).min(1).max(20) });
export type SamplePeople = z.infer<typeof file>;

/** The people of the evaluation, from people.json beside this file. @throws when it does not have the right shape. */
export function readPeople(path = new URL('./people.json', import.meta.url)): SamplePeople {
  return file.parse(JSON.parse(readFileSync(path, 'utf8')));
}
