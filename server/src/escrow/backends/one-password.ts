import { z } from 'zod';
import { type EscrowBackend, type EscrowEntry, EscrowFailure, fieldOf } from '../backend.ts';
import { createJsonApi, type Http, needed } from '../http.ts';

const vaults = z.array(z.object({ id: z.string(), name: z.string() }));
const found = z.array(z.object({ id: z.string(), title: z.string() }));
const item = z.object({ id: z.string().min(1) });
const whole = z.object({
  fields: z.array(z.object({ purpose: z.string().optional(), value: z.string().optional() })),
});

/** What 1Password gives as the id of a vault. */
const VAULT_ID = /^[A-Za-z0-9-]{20,36}$/;

const titleOf = ({ hostname, id }: EscrowEntry) => `breakglass-${hostname} ${id.slice(0, 8)}`;

/**
 * Keeps passwords in 1Password, through a Connect server: one item for each.
 *
 * @param options.vault its id or its name.
 */
export function createOnePasswordEscrow(options: {
  url: string;
  token: string;
  vault: string;
  http: Http;
}): EscrowBackend {
  const service = '1Password Connect';
  const call = createJsonApi({ http: options.http, service });
  const headers = { authorization: `Bearer ${options.token}` };

  async function vaultId(): Promise<string> {
    if (VAULT_ID.test(options.vault)) return options.vault;
    const answer = await call({ method: 'GET', url: `${options.url}/v1/vaults`, headers }, vaults);
    const wanted = options.vault.toLowerCase();
    const known = needed(answer, service, 'the list of vaults').find(({ name }) => name.toLowerCase() === wanted);
    if (!known) throw new EscrowFailure('1Password Connect knows no vault of this name');
    return known.id;
  }

  const items = (vault: string) => `${options.url}/v1/vaults/${encodeURIComponent(vault)}/items`;
  const itemOf = (location: Readonly<Record<string, string>>) =>
    `${items(fieldOf(location, 'vault'))}/${encodeURIComponent(fieldOf(location, 'item'))}`;

  return {
    name: '1password-connect',

    async store(entry, password) {
      const vault = await vaultId();
      const title = titleOf(entry);
      const filter = `title eq "${title.replace(/[\\"]/g, '\\$&')}"`;
      const list = { method: 'GET', url: `${items(vault)}?filter=${encodeURIComponent(filter)}`, headers } as const;
      const known = needed(await call(list, found), service, 'the list of items').find((one) => one.title === title);
      const fields = [{ id: 'password', type: 'CONCEALED', purpose: 'PASSWORD', label: 'password', value: password }];
      const json = { vault: { id: vault }, title, category: 'LOGIN', fields };
      const request = known
        ? ({
            method: 'PUT',
            url: `${items(vault)}/${encodeURIComponent(known.id)}`,
            headers,
            json: { ...json, id: known.id },
          } as const)
        : ({ method: 'POST', url: items(vault), headers, json } as const);
      const { id } = needed(await call(request, item), service, 'a new item');
      return { vault, item: id };
    },

    async retrieve(_entry, location) {
      const answer = await call({ method: 'GET', url: itemOf(location), headers }, whole);
      const { fields } = needed(answer, service, 'the question for an item');
      const password = fields.find(({ purpose }) => purpose === 'PASSWORD')?.value;
      if (password === undefined) throw new EscrowFailure('the item of 1Password holds no password');
      return password;
    },

    async remove(_entry, location) {
      const answer = await call({ method: 'DELETE', url: itemOf(location), headers }, z.unknown());
      if (!answer.ok && answer.status !== 404) needed(answer, service, 'the removal of an item');
    },
  };
}
