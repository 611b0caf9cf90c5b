import { createScimClients } from './clients.ts';
import { createScimReading } from './reading.ts';
import { createScimWriting } from './writing.ts';

export type Scim = ReturnType<typeof createScim>;

/** SCIM 2.0 inbound: clients push users and groups of the issuer that they are bound to. */
export function createScim(deps: Parameters<typeof createScimClients>[0] & Parameters<typeof createScimWriting>[0]) {
  return { ...createScimClients(deps), ...createScimReading(deps), ...createScimWriting(deps) };
}
