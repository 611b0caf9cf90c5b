import { ATTRIBUTES, type Attribute, isExtension } from './attributes.ts';
import { type Kind, SCHEMA } from './resource.ts';

/** What a SCIM server says of itself (RFC 7644 4): what it can do, which resources it has, and what is kept of them. */

export const MAX_PAGE = 1000;

const RESOURCE_TYPE = 'urn:ietf:params:scim:schemas:core:2.0:ResourceType';
const SERVICE_CONFIG = 'urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig';
const SCHEMA_OF_SCHEMAS = 'urn:ietf:params:scim:schemas:core:2.0:Schema';
const KINDS: readonly Kind[] = ['User', 'Group'];

const metaOf = (resourceType: string, location: string) => ({ resourceType, location });

/** @param location address of the SCIM server */
export const serviceConfig = (location: string) => ({
  schemas: [SERVICE_CONFIG],
  patch: { supported: true },
  bulk: { supported: false, maxOperations: 0, maxPayloadSize: 0 },
  filter: { supported: true, maxResults: MAX_PAGE },
  changePassword: { supported: false },
  sort: { supported: false },
  etag: { supported: true },
  authenticationSchemes: [
    {
      type: 'oauthbearertoken',
      name: 'Bearer token',
      description: 'A token that an administrator of identree made.',
    },
  ],
  meta: metaOf('ServiceProviderConfig', `${location}/ServiceProviderConfig`),
});

export const resourceTypes = (location: string) =>
  KINDS.map((kind) => ({
    schemas: [RESOURCE_TYPE],
    id: kind,
    name: kind,
    endpoint: `/${kind}s`,
    schema: kind === 'User' ? SCHEMA.user : SCHEMA.group,
    schemaExtensions: ATTRIBUTES[kind].filter(isExtension).map(({ name }) => ({ schema: name, required: false })),
    meta: metaOf('ResourceType', `${location}/ResourceTypes/${kind}`),
  }));

/** What a client reads and never writes: the address of a member. */
const REFERENCE = {
  name: '$ref',
  type: 'reference',
  referenceTypes: KINDS,
  multiValued: false,
  required: false,
  description: 'Where the member is.',
  caseExact: true,
  mutability: 'immutable',
  returned: 'default',
  uniqueness: 'none',
};

const described = ({ subAttributes, ...attribute }: Attribute): object => ({
  caseExact: false,
  mutability: 'readWrite',
  returned: 'default',
  uniqueness: 'none',
  ...attribute,
  ...(subAttributes.length > 0
    ? { subAttributes: [...subAttributes.map(described), ...(attribute.name === 'members' ? [REFERENCE] : [])] }
    : {}),
});

export function schemas(location: string) {
  const schemaOf = (id: string, name: string, description: string, attributes: readonly Attribute[]) => ({
    schemas: [SCHEMA_OF_SCHEMAS],
    id,
    name,
    description,
    attributes: attributes.map(described),
    meta: metaOf('Schema', `${location}/Schemas/${id}`),
  });
  return KINDS.flatMap((kind) => {
    const [core, extensions] = [
      ATTRIBUTES[kind].filter((one) => !isExtension(one)),
      ATTRIBUTES[kind].filter(isExtension),
    ];
    const id = kind === 'User' ? SCHEMA.user : SCHEMA.group;
    return [
      schemaOf(id, kind, kind === 'User' ? 'A person' : 'A group of people', core),
      ...extensions.map((one) => schemaOf(one.name, `Posix${kind}`, one.description, one.subAttributes)),
    ];
  });
}
