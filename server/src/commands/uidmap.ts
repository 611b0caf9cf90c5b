import { constants, copyFile } from 'node:fs/promises';
import { createCore } from '../app/core.ts';
import type { LdapConfig } from '../config/config.ts';
import { directorySettingsOf } from '../directory/configured.ts';
import {
  createUidMapTools,
  type Difference,
  type NumberOwner,
  ownerText,
  UidMapCopyFailed,
  UidMapRefusal,
} from '../directory/numbers/uidmap.ts';
import { formatUidMap, repairUidMap, replaceFile } from '../directory/numbers/uidmap-file.ts';
import { UID_MAP_FORMATS } from '../directory/numbers/uidmap-formats.ts';
import { type Command, EXIT } from './command.ts';

const USAGE = `use:
  identree-server uidmap export [--format ${[...UID_MAP_FORMATS.keys()].join('|')}]   print the map
  identree-server uidmap verify                 check the map and its copy
  identree-server uidmap diff FILE              what differs from another uidmap.json
  identree-server uidmap import FILE [--merge]  take a uidmap.json over, or add it to the map
  identree-server uidmap reserve NUMBER         keep a uid and gid from everybody
  identree-server uidmap adopt GONE PERSON [--yes]
                                                give somebody the numbers of an account that is gone
  identree-server uidmap repair FILE [--dry-run]
                                                mend a uidmap.json in which two have one number
`;

const ACTOR = 'identree-server';

/** `identree-server uidmap …`: works beside a running server, on the same database. */
export async function uidMapCommand(command: Command, args: string[]): Promise<number> {
  const { ldap } = command.config;
  if (ldap === null) {
    command.err('This server serves no directory: IDENTREE_LDAP_ENABLED is false.\n');
    return EXIT.failed;
  }
  const [verb, ...operands] = args;
  // Only files: it must work when nothing else does.
  if (verb === 'repair') {
    if (operands.length === 1) return repair(command, ldap, operands[0]!);
    command.err(USAGE);
    return EXIT.usage;
  }
  const core = await createCore(command.config);
  try {
    return await onDatabase(command, ldap, core, verb, operands);
  } catch (error) {
    if (!(error instanceof UidMapRefusal) && !(error instanceof UidMapCopyFailed)) throw error;
    command.err(`${error.message}\n`);
    return EXIT.failed;
  } finally {
    await core.close();
  }
}

async function onDatabase(
  command: Command,
  ldap: LdapConfig,
  core: Awaited<ReturnType<typeof createCore>>,
  verb: string | undefined,
  operands: string[],
): Promise<number> {
  const { out, err, flags } = command;
  const settings = directorySettingsOf(command.config, ldap);
  const { db, events, clock } = core;
  const tools = createUidMapTools({ db, events, clock, settings, mapFile: ldap.uidMapFile, actor: ACTOR });
  const [first, second] = operands;
  switch (`${verb} ${operands.length}`) {
    case 'export 0': {
      const format = UID_MAP_FORMATS.get(flags.format ?? 'json');
      if (!format) break;
      out(format(await tools.read(), settings));
      return EXIT.ok;
    }
    case 'verify 0': {
      const { map, problems } = await tools.verify();
      const count = (kind: 'uid' | 'gid') => map.numbers.filter((row) => row.kind === kind).length;
      const retired = map.numbers.filter(({ retiredAt }) => retiredAt !== null).length;
      const facts = { generation: map.generation, uids: count('uid'), gids: count('gid'), retired };
      if (flags.json) {
        out(`${JSON.stringify({ ...facts, nextUid: map.nextUid, nextGid: map.nextGid, problems }, null, 2)}\n`);
      } else {
        out(
          `generation ${facts.generation}: ${facts.uids} uids and ${facts.gids} gids, ${retired} of them retired; next uid ${map.nextUid}, next gid ${map.nextGid}\n`,
        );
        for (const problem of problems) err(`${problem}\n`);
        if (problems.length === 0) out('The map and its copy are in order.\n');
      }
      return problems.length === 0 ? EXIT.ok : EXIT.failed;
    }
    case 'diff 1': {
      const found = await tools.diff(first!);
      if (flags.json) out(`${JSON.stringify(found, null, 2)}\n`);
      else out(found.length === 0 ? 'No difference.\n' : `${found.map(differenceLine).join('\n')}\n`);
      return found.length === 0 ? EXIT.ok : EXIT.failed;
    }
    case 'import 1':
      out(`Added ${await tools.import(first!, flags.merge ?? false)} numbers.\n`);
      return EXIT.ok;
    case 'reserve 1': {
      const number = /^[0-9]{1,10}$/.test(first!) ? Number(first) : Number.NaN;
      out((await tools.reserve(number)) ? `Nobody gets ${first}.\n` : `${first} was kept already.\n`);
      return EXIT.ok;
    }
    case 'adopt 2': {
      const gone = await tools.find(first!, true);
      const person = await tools.find(second!, false);
      const numbersOf = ({ numbers }: NumberOwner) => numbers.map(({ kind, number }) => `${kind} ${number}`).join(', ');
      out(`${ownerText(person)} gets ${numbersOf(gone)} of ${ownerText(gone)}, and all files that are theirs.\n`);
      out(`Nobody gets their own ${numbersOf(person)} again: on every host, files that have them need a new owner.\n`);
      if (!flags.yes) {
        err('Nothing was changed. Run it again with --yes.\n');
        return EXIT.failed;
      }
      await tools.adopt(gone, person);
      out('Done.\n');
      return EXIT.ok;
    }
  }
  err(USAGE);
  return EXIT.usage;
}

function differenceLine({ kind, number, here, there }: Difference): string {
  if (here === null) return `+ ${kind} ${number}  ${ownerText(there!)}`;
  if (there === null) return `- ${kind} ${number}  ${ownerText(here)}`;
  return `! ${kind} ${number}  ${ownerText(here)} here, ${ownerText(there)} there`;
}

async function repair({ config, flags, out, err }: Command, ldap: LdapConfig, path: string): Promise<number> {
  const settings = directorySettingsOf(config, ldap);
  const repaired = await repairUidMap(path, settings, Date.now());
  if (!repaired.ok) {
    err(`${repaired.missing ? `${path}: no such file` : repaired.problem}\n`);
    return EXIT.failed;
  }
  const { map, renumbered, reserved, dropped } = repaired;
  for (const row of renumbered) {
    out(`${row.kind} ${row.was} of ${ownerText(row)} becomes ${row.number}. Look at its files on every host:\n`);
    out(`  find / -xdev -${row.kind} ${row.was}\n`);
  }
  for (const row of reserved)
    out(`${row.kind} ${row.number}, a second one of ${ownerText(row)}, is kept from everybody.\n`);
  for (const row of dropped) {
    const number = `${row.kind} ${row.number}, a second one of ${ownerText(row)},`;
    out(`${number} is left out: it is out of range, or somebody else's.\n`);
  }
  if (renumbered.length + reserved.length + dropped.length === 0) {
    out('Nothing has to change.\n');
    return EXIT.ok;
  }
  if (flags['dry-run']) return EXIT.ok;
  const before = `${path}.broken`;
  try {
    await copyFile(path, before, constants.COPYFILE_EXCL);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    err(`Nothing was written: ${before} is there already. Move it away.\n`);
    return EXIT.failed;
  }
  await replaceFile(path, formatUidMap(map, settings.issuer));
  out(`Written. The file as it was: ${before}\n`);
  return EXIT.ok;
}
