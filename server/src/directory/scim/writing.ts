import type { Database, UnitOfWork } from '../../db/database.ts';
import type { EventLog } from '../../events/log.ts';
import type { Clock } from '../../platform/clock.ts';
import type { Random } from '../../platform/random.ts';
import { canonicalDocument, isDoc } from './attributes.ts';
import type { ScimClient } from './clients.ts';
import { leaveGroups, settleMembers } from './members.ts';
import { applyPatch, type PatchOperation } from './patch.ts';
import {
  hasPosixPart,
  type Kind,
  SCHEMA,
  type ScimGroup,
  type ScimMember,
  type ScimUser,
  scimGroup,
  scimUser,
  slug,
} from './resource.ts';
import { ScimError } from './scim-error.ts';
import * as store from './scim-store.ts';
import { etagOf, nameOfDocument, readStored, writeStored } from './stored.ts';

/** Which resource a client changes. */
export interface ScimTarget {
  client: ScimClient;
  kind: Kind;
  id: string;
  /** `If-Match` as it came: the version that the client believes to change. */
  ifMatch: string | undefined;
  remoteAddr: string;
}

/** What clients change: each only what it made itself. */
export function createScimWriting(deps: {
  db: Database;
  events: Pick<EventLog, 'append'>;
  clock: Clock;
  random: Random;
  /** `follow`: the POSIX name of a group follows its display name; `keep`: it stays as it was made. */
  groupRename: 'keep' | 'follow';
}) {
  const { db, clock, random } = deps;

  /** Reads a body strictly; says which attribute is wrong and repeats no value. */
  function parse(kind: Kind, body: unknown): ScimUser | ScimGroup {
    const parsed = (kind === 'User' ? scimUser : scimGroup).safeParse(canonicalDocument(kind, body));
    if (parsed.success) return parsed.data;
    throw new ScimError(400, `${parsed.error.issues[0]?.path.join('.') || 'the body'} is not valid`, 'invalidValue');
  }

  /** What the new document needs that the old one did not have. */
  function checkScope(client: ScimClient, next: ScimUser | ScimGroup): void {
    if (hasPosixPart(next) && !client.maySudo) {
      throw new ScimError(403, 'POSIX and sudo attributes need a token with the scope sudo:write');
    }
  }

  async function freePosixName(work: UnitOfWork, client: ScimClient, group: ScimGroup, ownId: string): Promise<string> {
    const wished = group[SCHEMA.posixGroup]?.posixName ?? slug(group.displayName);
    const others = new Set(
      (await store.allResources(work.query, 'Group'))
        .filter((row) => row.issuer === client.issuer && row.id !== ownId)
        .map((row) => readStored(row).posixName),
    );
    let name = wished;
    for (let n = 2; others.has(name); n += 1) name = `${wished}-${n}`;
    return name;
  }

  async function report(
    work: UnitOfWork,
    client: ScimClient,
    action: string,
    row: store.ResourceRow,
    remoteAddr: string,
  ) {
    await deps.events.append(work, {
      event: 'scim_resource_changed',
      username: row.kind === 'User' ? row.unique_name : '',
      actor: `scim ${client.name}`,
      remoteAddr,
      reason: action,
      data: { kind: row.kind, id: row.id, externalId: row.external_id, name: row.unique_name, issuer: client.issuer },
    });
  }

  /** Locks the client for the transaction and looks once more whether it may still write. */
  async function begin(work: UnitOfWork, client: ScimClient): Promise<void> {
    const row = await store.lockClient(work, client.id);
    if (!row || row.revoked_at !== null || row.expires_at <= clock.now())
      throw new ScimError(401, 'the token is not valid');
  }

  async function load(work: UnitOfWork, { client, kind, id, ifMatch }: ScimTarget) {
    const row = await store.findResource(work.query, client.id, kind, id);
    if (!row) throw new ScimError(404, 'there is no such resource');
    if (ifMatch !== undefined && ifMatch !== '*' && !ifMatch.split(',').some((tag) => tag.trim() === etagOf(row))) {
      throw new ScimError(412, 'the resource has changed meanwhile');
    }
    return row;
  }

  async function save(
    work: UnitOfWork,
    client: ScimClient,
    row: store.ResourceRow,
    wanted: ScimUser | ScimGroup,
    { adds, remoteAddr }: { adds: boolean; remoteAddr: string },
  ) {
    const { kind } = row;
    const old = readStored(row);
    const before = (old.document.members ?? []) as ScimMember[];
    const next = 'members' in wanted ? await settleMembers(work, client, wanted, { before, adds }) : wanted;
    if ((next.externalId ?? null) !== row.external_id) {
      // Who signs in as that subject would become another person.
      if (row.external_id !== null) throw new ScimError(400, 'externalId cannot be changed', 'mutability');
      await checkExternalId(work, client, kind, next.externalId!, row.id);
    }
    checkScope(client, next);
    const name = nameOfDocument(kind, next);
    await checkUserName(work, client, kind, name, row.id);
    let { posixName } = old;
    if ('members' in next) {
      const asked = next[SCHEMA.posixGroup]?.posixName;
      if ((asked !== undefined && asked !== posixName) || deps.groupRename === 'follow') {
        posixName = await freePosixName(work, client, next, row.id);
      }
    }
    const resource = writeStored({ document: next, posixName });
    const same = resource === row.resource;
    const updated: store.ResourceRow = {
      ...row,
      resource,
      unique_name: name,
      external_id: next.externalId ?? null,
      version: same ? row.version : row.version + 1,
      modified_at: clock.now(),
    };
    await store.updateResource(work, row.id, updated);
    if (!same) await report(work, client, 'updated', updated, remoteAddr);
    return updated;
  }

  /** A user name is one person's. Groups may share what people call them (RFC 7643 4.2); their POSIX names differ. */
  async function checkUserName(work: UnitOfWork, client: ScimClient, kind: Kind, name: string, ownId: string) {
    if (kind !== 'User') return;
    const other = await store.findByName(work.query, client.id, kind, name);
    if (other && other.id !== ownId) throw new ScimError(409, 'another user has this name', 'uniqueness');
  }

  /**
   * An external id is one person's at a time, whichever client says so. A person who was deleted may come back; under
   * another name an administrator decides whether it is the same person, because the files of the old one would be theirs.
   */
  async function checkExternalId(work: UnitOfWork, client: ScimClient, kind: Kind, externalId: string, ownId: string) {
    const others = await store.liveByIdentity(work.query, client.issuer, kind, externalId);
    if (others.some(({ id }) => id !== ownId)) throw new ScimError(409, 'this externalId is in use', 'uniqueness');
  }

  return {
    create: (client: ScimClient, kind: Kind, body: unknown, remoteAddr: string): Promise<store.ResourceRow> =>
      db.transaction(async (work) => {
        await begin(work, client);
        const parsed = parse(kind, body);
        checkScope(client, parsed);
        const resource =
          'members' in parsed ? await settleMembers(work, client, parsed, { before: [], adds: false }) : parsed;
        const name = nameOfDocument(kind, resource);
        const id = random.uuid();
        await checkUserName(work, client, kind, name, id);
        if (resource.externalId !== undefined) await checkExternalId(work, client, kind, resource.externalId, id);
        const now = clock.now();
        const posixName = 'members' in resource ? await freePosixName(work, client, resource, id) : undefined;
        const row: store.ResourceRow = {
          id,
          client_id: client.id,
          kind,
          external_id: resource.externalId ?? null,
          unique_name: name,
          resource: writeStored({ document: resource, posixName }),
          version: 1,
          created_at: now,
          modified_at: now,
          deleted_at: null,
        };
        await store.insertResource(work, row);
        await report(work, client, 'created', row, remoteAddr);
        return row;
      }),

    replace: (target: ScimTarget, body: unknown) =>
      db.transaction(async (work) => {
        const { client, kind, remoteAddr } = target;
        await begin(work, client);
        const row = await load(work, target);
        const { externalId, active } = readStored(row).document;
        const whole = canonicalDocument(kind, body);
        // What a provider does not mention stays: a person keeps their identity, and who is disabled stays disabled.
        const wanted = isDoc(whole) ? { externalId, ...(kind === 'User' ? { active } : {}), ...whole } : whole;
        return save(work, client, row, parse(kind, wanted), { adds: false, remoteAddr });
      }),

    patch: (target: ScimTarget, operations: readonly PatchOperation[]) =>
      db.transaction(async (work) => {
        const { client, kind, remoteAddr } = target;
        await begin(work, client);
        const row = await load(work, target);
        const patched = applyPatch(kind, readStored(row).document, operations);
        if (!patched.ok) throw new ScimError(400, 'an operation cannot be applied', patched.scimType);
        const adds = operations.some(({ op }) => op === 'add');
        return save(work, client, row, parse(kind, patched.document), { adds, remoteAddr });
      }),

    remove: (target: ScimTarget): Promise<void> =>
      db.transaction(async (work) => {
        const { client, id, remoteAddr } = target;
        await begin(work, client);
        const row = await load(work, target);
        await store.updateResource(work, id, { deleted_at: clock.now(), version: row.version + 1 });
        await report(work, client, 'deleted', row, remoteAddr);
        for (const group of await leaveGroups(work, client, id)) {
          await report(work, client, 'updated', group, remoteAddr);
        }
      }),
  };
}
