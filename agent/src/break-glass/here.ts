import { hostname as systemHostname } from 'node:os';
import { normaliseHostName } from '#shared/names.ts';
import { type Host, loadSettings, openHost } from '../app.ts';
import { loadClientConf } from '../config/client-conf.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { type Paths, stateFiles } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import type { Log } from '../platform/log.ts';
import { systemRandom } from '../platform/random.ts';
import { NotEnrolled, prepareStateFolder } from '../state/identity.ts';
import { hashPassword, isPassword } from './bcrypt.ts';
import { readHashFile } from './hash-file.ts';
import { openHostJournal } from './host-journal.ts';
import { type Rotation, rotate } from './rotate.ts';
import { seal } from './sealing.ts';
import { readTyped } from './typed.ts';
import { WRONG_PASSWORD } from './verify.ts';

export interface RotateHereOptions {
  force: boolean;
  /** Keeps it from the server. */
  local: boolean;
  /** Nobody reads what is printed. */
  unattended: boolean;
}

/** `identree rotate-breakglass`. Only a password that no server keeps is printed, alone on standard output. */
export async function rotateHere(
  paths: Paths,
  options: RotateHereOptions,
  io: { log: Log; print(line: string): void; tell(line: string): void },
): Promise<number> {
  const { print, tell } = io;
  const { conf } = await loadSettings(paths);
  if (!conf.breakGlass.enabled) {
    const why = conf.said.has('breakGlassEnabled')
      ? `IDENTREE_BREAKGLASS_ENABLED=false in ${paths.config}: no password opens this host.`
      : `The server tells its hosts to have no break-glass password. For one here, say IDENTREE_BREAKGLASS_ENABLED=true in ${paths.config}.`;
    throw new CommandError(EXIT.config, why);
  }
  if (options.local && options.unattended) throw new CommandError(EXIT.usage, 'Use --local or --unattended, not both.');
  await prepareStateFolder(paths.state);
  const host = await openHost(paths, { log: io.log }).catch((error: unknown): null => {
    // A host without a server has this password all the same; but nobody keeps it.
    if (!(error instanceof NotEnrolled) || options.unattended) throw error;
    return null;
  });
  try {
    return report(await rotateWith(host, paths, conf.breakGlass, options, io.log));
  } finally {
    host?.close();
  }

  function report(rotation: Rotation): number {
    switch (rotation.kind) {
      case 'not_due':
        tell(
          `The password of ${new Date(rotation.createdAt).toISOString()} stays: it is not due. To replace it all the same, add --force.`,
        );
        return EXIT.ok;
      case 'failed':
        tell(rotation.message);
        tell('The password is the one of before.');
        if (!options.unattended && host !== null) tell('To make one that only you are told, add --local.');
        return EXIT.failed;
      case 'rotated':
        if (rotation.shown === null && conf.breakGlass.sealing !== null) {
          tell('This host has a new break-glass password. The server keeps it, and cannot read it.');
        } else if (rotation.shown === null) tell('This host has a new break-glass password. The server keeps it.');
        else {
          tell('This host has a new break-glass password. Nobody else keeps it: write it down now.');
          print(rotation.shown.toString('latin1'));
          rotation.shown.fill(0);
        }
        return EXIT.ok;
    }
  }
}

const rotateWith = (
  host: Host | null,
  paths: Paths,
  conf: Parameters<typeof rotate>[0]['conf'],
  options: RotateHereOptions,
  log: Log,
) =>
  rotate(
    {
      client: host?.client ?? null,
      conf,
      hostname: host?.enrolment.identity.hostname ?? normaliseHostName(systemHostname()),
      journal: openHostJournal(paths, { clock: systemClock, log }),
      lock: stateFiles(paths.state).breakGlassRotationLock,
      hash: hashPassword,
      isPassword,
      seal,
      clock: systemClock,
      random: systemRandom,
    },
    { force: options.force, local: options.local, mayShow: !options.unattended },
  );

/** `identree verify-breakglass`: zero for the right password only. Counts nothing: who may run this is root already. */
export async function verifyHere(paths: Paths, print: (line: string) => void): Promise<number> {
  const { breakGlass } = await loadClientConf(paths.config);
  const stored = await readHashFile(breakGlass.file);
  if (stored === null) {
    throw new CommandError(EXIT.failed, `${breakGlass.file} does not exist. Run as root: identree rotate-breakglass`);
  }
  const typed = await readTyped(process.stdin, 'Break-glass password: ', (text) => process.stderr.write(text));
  try {
    if (typed === null || !(await isPassword(typed, stored.hash))) {
      print(WRONG_PASSWORD);
      return EXIT.failed;
    }
    print('This is the break-glass password of this host.');
    return EXIT.ok;
  } finally {
    typed?.fill(0);
  }
}
