import { constants, copyFile } from 'node:fs/promises';
import type { CommandGroup, Given, Operands, Options } from '#shared/command-line/command.ts';
import type { LdapConfig } from '../config/config.ts';
import type {
  createUidMapTools,
  Difference,
  NumberOwner,
  ownerText as ownerTextOf,
} from '../directory/numbers/uidmap.ts';
import { UID_MAP_FORMAT_NAMES, type UidMapFormatName } from '../directory/numbers/uidmap-format-names.ts';
import type { DirectorySettings } from '../directory/settings.ts';
import { ACTOR, type CommandIo, configCommand, coreCommand, EXIT, type WithConfig, type WithCore } from './command.ts';

interface WithMap extends WithCore {
  tools: ReturnType<typeof createUidMapTools>;
  settings: DirectorySettings;
  ownerText: typeof ownerTextOf;
}

function ldapOf({ config, err }: WithConfig): LdapConfig | null {
  if (config.ldap === null) err('This server serves no directory: IDENTREE_LDAP_ENABLED is false.\n');
  return config.ldap;
}

/** A command on the map in the database. What it refuses is told in its own words. */
const mapCommand = <const O extends Options, const P extends Operands>({
  run,
  ...declared
}: {
  name: string;
  help: string;
  options?: O;
  operands?: P;
  run(context: WithMap, given: Given<O, P>): Promise<number>;
}) =>
  coreCommand<O, P>({
    ...declared,
    async run(context, given) {
      const ldap = ldapOf(context);
      if (ldap === null) return EXIT.failed;
      const { createUidMapTools, ownerText, UidMapCopyFailed, UidMapRefusal } = await import(
        '../directory/numbers/uidmap.ts'
      );
      const { directorySettingsOf } = await import('../directory/configured.ts');
      const settings = directorySettingsOf(context.config, ldap);
      const { db, events, clock } = context.core;
      const tools = createUidMapTools({ db, events, clock, settings, mapFile: ldap.uidMapFile, actor: ACTOR });
      try {
        return await run({ ...context, tools, settings, ownerText }, given);
      } catch (error) {
        if (!(error instanceof UidMapRefusal) && !(error instanceof UidMapCopyFailed)) throw error;
        context.err(`${error.message}\n`);
        return EXIT.failed;
      }
    },
  });

const exportMap = mapCommand({
  name: 'export',
  help: 'print the map',
  options: { format: { value: 'FORMAT', help: 'in this form', choices: UID_MAP_FORMAT_NAMES, default: 'json' } },
  async run({ tools, settings, out }, { options }) {
    const { UID_MAP_FORMATS } = await import('../directory/numbers/uidmap-formats.ts');
    out(UID_MAP_FORMATS[options.format as UidMapFormatName](await tools.read(), settings));
    return EXIT.ok;
  },
});

const verify = mapCommand({
  name: 'verify',
  help: 'check the map and its copy',
  options: { json: { help: 'for programs' } },
  async run({ tools, out, err }, { options }) {
    const { map, problems } = await tools.verify();
    const count = (kind: 'uid' | 'gid') => map.numbers.filter((row) => row.kind === kind).length;
    const retired = map.numbers.filter(({ retiredAt }) => retiredAt !== null).length;
    const facts = { generation: map.generation, uids: count('uid'), gids: count('gid'), retired };
    if (options.json) {
      out(`${JSON.stringify({ ...facts, nextUid: map.nextUid, nextGid: map.nextGid, problems }, null, 2)}\n`);
    } else {
      out(
        `generation ${facts.generation}: ${facts.uids} uids and ${facts.gids} gids, ${retired} of them retired; next uid ${map.nextUid}, next gid ${map.nextGid}\n`,
      );
      for (const problem of problems) err(`${problem}\n`);
      if (problems.length === 0) out('The map and its copy are in order.\n');
    }
    return problems.length === 0 ? EXIT.ok : EXIT.failed;
  },
});

const diff = mapCommand({
  name: 'diff',
  help: 'what differs from another uidmap.json',
  options: { json: { help: 'for programs' } },
  operands: { file: {} },
  async run({ tools, out, ownerText }, { options, operands }) {
    const found = await tools.diff(operands.file);
    const lines = found.map((difference) => differenceLine(difference, ownerText));
    if (options.json) out(`${JSON.stringify(found, null, 2)}\n`);
    else out(found.length === 0 ? 'No difference.\n' : `${lines.join('\n')}\n`);
    return found.length === 0 ? EXIT.ok : EXIT.failed;
  },
});

const importMap = mapCommand({
  name: 'import',
  help: 'take a uidmap.json over',
  options: { merge: { help: 'add it to the map that is there' } },
  operands: { file: {} },
  async run({ tools, out }, { options, operands }) {
    out(`Added ${await tools.import(operands.file, options.merge)} numbers.\n`);
    return EXIT.ok;
  },
});

const reserve = mapCommand({
  name: 'reserve',
  help: 'give a uid and gid to no account, ever',
  operands: { number: {} },
  async run({ tools, out }, { operands: { number } }) {
    const wanted = /^[0-9]{1,10}$/.test(number) ? Number(number) : Number.NaN;
    out((await tools.reserve(wanted)) ? `Nobody gets ${number}.\n` : `${number} was kept already.\n`);
    return EXIT.ok;
  },
});

const adopt = mapCommand({
  name: 'adopt',
  help: 'give a person the numbers of an account that is gone',
  options: { yes: { help: 'do it; without this it only tells what would change' } },
  operands: { gone: {}, person: {} },
  async run({ tools, out, err, ownerText }, { options, operands }) {
    const gone = await tools.find(operands.gone, true);
    const person = await tools.find(operands.person, false);
    const numbersOf = ({ numbers }: NumberOwner) => numbers.map(({ kind, number }) => `${kind} ${number}`).join(', ');
    out(`${ownerText(person)} gets ${numbersOf(gone)} of ${ownerText(gone)}, and all files that are theirs.\n`);
    out(`Nobody gets their own ${numbersOf(person)} again: on every host, files that have them need a new owner.\n`);
    if (!options.yes) {
      err('Nothing was changed. Run it again with --yes.\n');
      return EXIT.failed;
    }
    await tools.adopt(gone, person);
    out('Done.\n');
    return EXIT.ok;
  },
});

/** Only files are opened: it must work when nothing else does. */
const repair = configCommand({
  name: 'repair',
  help: 'mend a uidmap.json in which two have one number',
  options: { 'dry-run': { help: 'show what would change' } },
  operands: { file: {} },
  async run(context, { options, operands: { file } }) {
    const { config, out, err } = context;
    const ldap = ldapOf(context);
    if (ldap === null) return EXIT.failed;
    const { directorySettingsOf } = await import('../directory/configured.ts');
    const { ownerText } = await import('../directory/numbers/uidmap.ts');
    const { replaceFile } = await import('../directory/numbers/uidmap-copies.ts');
    const { formatUidMap } = await import('../directory/numbers/uidmap-file.ts');
    const { repairUidMap } = await import('../directory/numbers/uidmap-repair.ts');
    const settings = directorySettingsOf(config, ldap);
    const repaired = await repairUidMap(file, settings, Date.now());
    if (!repaired.ok) {
      err(`${repaired.missing ? `${file}: no such file` : repaired.problem}\n`);
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
    if (options['dry-run']) return EXIT.ok;
    const before = `${file}.broken`;
    try {
      await copyFile(file, before, constants.COPYFILE_EXCL);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      err(`Nothing was written: ${before} is there already. Move it away.\n`);
      return EXIT.failed;
    }
    await replaceFile(file, formatUidMap(map, settings.issuer));
    out(`Written. The file as it was: ${before}\n`);
    return EXIT.ok;
  },
});

export const uidmap: CommandGroup<CommandIo> = {
  name: 'uidmap',
  help: 'uids and gids, beside a server that runs, on the same database',
  commands: [exportMap, verify, diff, importMap, reserve, adopt, repair],
};

function differenceLine({ kind, number, here, there }: Difference, ownerText: typeof ownerTextOf): string {
  if (here === null) return `+ ${kind} ${number}  ${ownerText(there!)}`;
  if (there === null) return `- ${kind} ${number}  ${ownerText(here)}`;
  return `! ${kind} ${number}  ${ownerText(here)} here, ${ownerText(there)} there`;
}
