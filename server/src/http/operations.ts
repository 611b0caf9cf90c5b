import type { AnyTRPCProcedure, AnyTRPCRouter } from '@trpc/server';
import { z } from 'zod';
import type { RestMeta } from './trpc.ts';

export const REST_PREFIX = '/api/v1';

/** A procedure that is also served below {@link REST_PREFIX}. */
export interface Operation {
  /** Name of the procedure, like `sudoRules.create`. */
  name: string;
  rest: RestMeta;
  /** Members of the input that stand in the path. */
  inPath: readonly string[];
  /** Null: it takes no input. */
  input: z.ZodType | null;
}

/** Every procedure of a router that says where it is found. */
export function listOperations(router: AnyTRPCRouter): Operation[] {
  const procedures = router._def.procedures as unknown as Record<string, AnyTRPCProcedure>;
  return Object.entries(procedures).flatMap(([name, procedure]) => {
    const { meta, inputs } = procedure._def as unknown as { meta?: { rest?: RestMeta }; inputs: z.ZodType[] };
    if (!meta?.rest) return [];
    const inPath = [...meta.rest.path.matchAll(/\{(\w+)\}/g)].map(([, member]) => member!);
    return [{ name, rest: meta.rest, inPath, input: inputs[0] ?? null }];
  });
}

const ERROR_ANSWER = {
  description: 'Refused; docs/errors.md has the codes',
  content: {
    'application/json': {
      schema: {
        type: 'object',
        required: ['error'],
        properties: {
          error: {
            type: 'object',
            required: ['code', 'message'],
            properties: { code: { type: 'string' }, message: { type: 'string' } },
          },
        },
      },
    },
  },
};

const contentOf = ({ download }: RestMeta): Record<string, object> =>
  Object.fromEntries((download ?? ['application/json']).map((type) => [type, {}]));

/** How who calls is known; one of them is enough. */
const SECURITY_SCHEMES = {
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: '__Host-identree_session',
    description: 'Of a person who signed in with a browser. On a server without https its name has no prefix.',
  },
  desktop: {
    type: 'http',
    scheme: 'bearer',
    description: 'Of the desktop app, which looks and denies and changes nothing else.',
  },
};

/** OpenAPI 3.1 of the operations. */
export function openApiOf(router: AnyTRPCRouter, version: string): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const { name, rest, inPath, input } of listOperations(router)) {
    const schema =
      input && (z.toJSONSchema(input, { io: 'input' }) as { properties?: Record<string, object>; required?: string[] });
    const members = Object.entries(schema?.properties ?? {}).filter(([member]) => !inPath.includes(member));
    const required = (schema?.required ?? []).filter((member) => !inPath.includes(member));
    const inQuery = rest.method === 'GET' || rest.method === 'DELETE';
    const parameter = (where: string, member: string) => ({
      name: member,
      in: where,
      required: where === 'path' || required.includes(member),
      schema: schema?.properties?.[member] ?? { type: 'string' },
    });
    const parameters = [
      ...inPath.map((member) => parameter('path', member)),
      ...(inQuery ? members.map(([member]) => parameter('query', member)) : []),
    ];
    const body = { type: 'object', properties: Object.fromEntries(members), required, additionalProperties: false };
    paths[`${REST_PREFIX}${rest.path}`] ??= {};
    paths[`${REST_PREFIX}${rest.path}`]![rest.method.toLowerCase()] = {
      operationId: name,
      summary: rest.summary,
      tags: [name.split('.')[0]],
      ...(parameters.length > 0 ? { parameters } : {}),
      ...(inQuery || members.length === 0
        ? {}
        : { requestBody: { required: true, content: { 'application/json': { schema: body } } } }),
      responses: { 200: { description: 'Done', content: contentOf(rest) }, default: ERROR_ANSWER },
    };
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'identree',
      version,
      description:
        'Called with the session of a signed-in person. What changes something needs a browser session, the header x-csrf-token with the token of me.get, and the origin of this server.',
    },
    security: Object.keys(SECURITY_SCHEMES).map((scheme) => ({ [scheme]: [] })),
    paths,
    components: { securitySchemes: SECURITY_SCHEMES },
  };
}
