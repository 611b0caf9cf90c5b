import { readFile } from 'node:fs/promises';
import { createTransport } from '../client/transport.ts';
import { checkServerUrl } from '../config/client-conf.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import { readInput } from '../install/keys.ts';
import type { Log } from '../platform/log.ts';
import { type DeployDeps, deployHost } from './deploy-host.ts';
import type { Outcome } from './outcome.ts';
import { type DeployRecord, defaultRecord, openRecord } from './record.ts';
import { fetchRelease } from './release.ts';
import { createReport, type Report } from './report.ts';
import { createSsh } from './ssh.ts';
import { parseTargets, type Target } from './targets.ts';
import { tokenFrom } from './token-command.ts';

const MAX_PARALLEL = 64;

export interface DeployOptions {
  server: string | null;
  /** File of the public key. */
  key: string;
  /** File of the authority that vouches for the server's TLS certificate, where the system knows none. */
  ca: string | null;
  /** File that names hosts. */
  hosts: string | null;
  tokenCommand: string | null;
  pam: string | null;
  sssd: boolean;
  auditd: boolean;
  noSetup: boolean;
  noConfirm: boolean;
  sshConfig: string | null;
  jump: string | null;
  parallel: string;
  record: string | null;
  again: boolean;
  dryRun: boolean;
  json: boolean;
}

export interface FleetDeps {
  deploy(target: Target, show: (line: string) => void): Promise<Outcome>;
  record: Pick<DeployRecord, 'isDone' | 'note'>;
  report: Report;
  parallel: number;
  /** Hosts of earlier runs are done again. */
  again: boolean;
  /** Null: nobody can be asked. @see createSsh */
  ask: ((destination: string) => Promise<void>) | null;
  look(destination: string): Promise<string | null>;
  /** No other host is begun. */
  stop: AbortSignal;
}

/** Works through hosts, some at a time. @returns whether all of them are done */
export async function deployFleet(deps: FleetDeps, targets: readonly Target[]): Promise<boolean> {
  const { record, report, stop } = deps;
  const outcomes = new Map<Target, Outcome>();

  async function settle(target: Target, outcome: Outcome): Promise<void> {
    outcomes.set(target, outcome);
    report.ended(target, outcome);
    await record.note(target, outcome);
  }

  async function work(target: Target): Promise<void> {
    if (!deps.again && record.isDone(target)) return settle(target, { kind: 'skipped' });
    report.began(target);
    await settle(target, await withShownKey(await deps.deploy(target, (line) => report.output(target, line)), target));
  }

  /** Who is told that a key is not known has to see it, to compare it with what somebody says on another way. */
  async function withShownKey(outcome: Outcome, { destination }: Target): Promise<Outcome> {
    if (outcome.kind !== 'failed' || outcome.reason !== 'host_key_unknown') return outcome;
    const key = await deps.look(destination);
    const shown = key === null ? '' : `; it shows ${key}`;
    return { ...outcome, message: `the key of the host is not among the known hosts${shown}` };
  }

  const queue = [...targets];
  const worker = async (): Promise<void> => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      if (stop.aborted) {
        queue.unshift(next);
        return;
      }
      await work(next);
    }
  };
  await Promise.all(Array.from({ length: deps.parallel }, worker));

  if (deps.ask !== null) {
    // One after the other, once nothing else is shown: what is asked about keys is to be read.
    for (const [target, outcome] of [...outcomes]) {
      if (stop.aborted || outcome.kind !== 'failed' || outcome.reason !== 'host_key_unknown') continue;
      await deps.ask(target.destination);
      await work(target);
    }
  }
  report.finished(outcomes, queue.length);
  return queue.length === 0 && [...outcomes.values()].every(({ kind }) => kind !== 'failed');
}

function parallelOf(text: string): number {
  const number = Number(text);
  if (!/^\d{1,2}$/.test(text) || number < 1 || number > MAX_PARALLEL)
    throw new CommandError(EXIT.usage, `--parallel takes a number, 1 to ${MAX_PARALLEL}; not: ${text}`);
  return number;
}

/** `identree deploy`: installs hosts over the operator's own ssh. */
export async function deploy(
  options: DeployOptions,
  words: readonly string[],
  io: { out: { write(text: string): unknown; isTTY?: boolean }; log: Log; stop: AbortSignal },
): Promise<number> {
  const list = options.hosts === null ? '' : (await readInput(options.hosts)).toString('utf8');
  const targets = parseTargets(words, list);
  if (targets.length === 0)
    throw new CommandError(EXIT.usage, 'Name the hosts, behind the options or with --hosts FILE.');
  if (options.server === null)
    throw new CommandError(EXIT.usage, 'Name the server: --server https://identree.example.com');
  const url = checkServerUrl(options.server);
  if (!url.ok) throw new CommandError(EXIT.usage, `--server: ${url.problem}`);
  if (options.tokenCommand === null && !options.dryRun)
    throw new CommandError(EXIT.usage, 'Say how a token is made: --token-command; it is run with the name of a host.');
  const setupWords = [
    ...(options.pam === null ? [] : ['--pam', options.pam]),
    ...(options.sssd ? ['--sssd'] : []),
    ...(options.auditd ? ['--auditd'] : []),
    ...(options.noConfirm ? ['--no-confirm'] : []),
  ];
  if (options.noSetup && setupWords.length > 0)
    throw new CommandError(EXIT.usage, `${setupWords[0]} does not go with --no-setup.`);
  const parallel = parallelOf(options.parallel);
  const installerWords = options.noSetup ? ['--no-setup'] : setupWords;

  const ca = options.ca === null ? null : await readFile(options.ca, 'utf8');
  const transport = createTransport({ serverUrl: url.url, ca });
  const release = await fetchRelease(transport, url.url, options.key).finally(() => transport.close());
  const record = await openRecord(
    options.record ?? defaultRecord(),
    { server: url.url, release: release.manifestSha256, words: installerWords },
    { now: Date.now, writes: !options.dryRun },
  );
  const ssh = createSsh({ config: options.sshConfig, jump: options.jump });
  const deps: DeployDeps = {
    open: ssh.open,
    token: tokenFrom(options.tokenCommand ?? ''),
    release,
    server: url.url,
    words: installerWords,
    isDryRun: options.dryRun,
    confirms: !options.noSetup && !options.noConfirm,
  };
  io.stop.addEventListener('abort', () =>
    io.log.warn('No other host is begun. Those that are begun are waited for; they also finish without this program.'),
  );
  const isPerson = !options.json && io.out.isTTY === true && process.stdin.isTTY === true;
  const isDone = await deployFleet(
    {
      deploy: (target, show) => deployHost(deps, target, show),
      record,
      report: createReport(io.out, options.json),
      parallel,
      again: options.again,
      ask: isPerson ? (to) => ssh.ask(to, (line) => io.out.write(`ssh ${to} | ${line}\n`)) : null,
      look: ssh.look,
      stop: io.stop,
    },
    targets,
  );
  return isDone ? EXIT.ok : EXIT.failed;
}
