import { constants } from 'node:fs';
import { open } from 'node:fs/promises';
import { hostname as systemHostname } from 'node:os';
import { normaliseHostName } from '#shared/names.ts';
import { connectServer, reportHost } from '../app.ts';
import { CommandError, EXIT } from '../exit-codes.ts';
import type { Paths } from '../paths.ts';
import { systemClock } from '../platform/clock.ts';
import { systemRandom } from '../platform/random.ts';
import { systemRun } from '../platform/run.ts';
import { agentAnswers } from '../service/socket-server.ts';
import { initOf, serviceCommand } from '../setup/agent-service.ts';
import { isEnrolled } from '../state/identity.ts';
import { type EnrolmentCredential, enrol } from './enrol.ts';
import { readableFingerprint } from './fingerprint.ts';

const MAX_SECRET = 4096;

async function readSecretFile(path: string): Promise<string> {
  const file = await open(path, constants.O_RDONLY).catch((error: NodeJS.ErrnoException) => {
    throw new CommandError(EXIT.usage, `${path} cannot be read (${error.code}).`);
  });
  try {
    const buffer = Buffer.alloc(MAX_SECRET);
    const { bytesRead } = await file.read(buffer, 0, MAX_SECRET, 0);
    return buffer.subarray(0, bytesRead).toString('utf8').trim();
  } finally {
    await file.close();
  }
}

async function readStdin(): Promise<string> {
  if (process.stdin.isTTY) process.stderr.write('Paste the enrolment token, then press Enter: ');
  let text = '';
  for await (const chunk of process.stdin) {
    text += String(chunk);
    if (text.includes('\n') || text.length > MAX_SECRET) break;
  }
  return text.split('\n')[0]!.trim();
}

export interface EnrollOptions {
  tokenFile: string | null;
  secretFile: string | null;
  hostname: string | null;
  replace: boolean;
}

/** `identree enroll`: the credential comes from a file or standard input; an argument can be read in the `ps` of every account. */
export async function enrollHost(paths: Paths, options: EnrollOptions, print: (line: string) => void): Promise<number> {
  if (options.tokenFile !== null && options.secretFile !== null) {
    throw new CommandError(EXIT.usage, 'Use --token-file or --secret-file, not both.');
  }
  if (!options.replace && (await isEnrolled(paths.state).catch(() => false))) {
    throw new CommandError(EXIT.busy, 'This host is enrolled already. To give it a new identity, add --replace.');
  }
  const { conf, servers } = await connectServer(paths);
  const text = await (options.secretFile !== null
    ? readSecretFile(options.secretFile)
    : options.tokenFile !== null
      ? readSecretFile(options.tokenFile)
      : readStdin());
  if (text === '')
    throw new CommandError(EXIT.usage, 'No token was given. Pass --token-file FILE, or the token on standard input.');
  const credential: EnrolmentCredential = options.secretFile === null ? { token: text } : { sharedSecret: text };
  try {
    const result = await enrol(
      { transport: servers, clock: systemClock, random: systemRandom },
      {
        credential,
        serverUrl: conf.serverUrls[0],
        hostname: normaliseHostName(options.hostname ?? systemHostname()),
        state: paths.state,
        replace: options.replace,
      },
    );
    if (!result.ok) throw new CommandError(EXIT.failed, result.message);
    print(`Enrolled as ${result.hostname} at ${result.externalUrl}.`);
    print(`Host id:          ${result.hostId}`);
    print(`Server key:       ${readableFingerprint(result.trustRoot)}`);
    print(`Key of this host: ${readableFingerprint(result.apiKey)}`);
    if (options.secretFile !== null) {
      print('');
      print('Compare both fingerprints with what the console shows under Hosts before you confirm this host.');
    }
    if (options.replace && (await agentAnswers(paths.socket))) {
      const restart = serviceCommand(await initOf(systemRun), 'restart');
      print(`The running agent still has the old identity. Run: ${restart}`);
    }
    // The directory is not served to a host that has yet to say this. The agent says it too, once it runs.
    if (result.state === 'active') await reportHost(paths).catch(() => undefined);
    if (result.state === 'waiting') {
      print('This host waits: until an operator confirms its key in the console, every request is refused.');
    }
    return EXIT.ok;
  } finally {
    servers.close();
    process.stdin.destroy();
  }
}
