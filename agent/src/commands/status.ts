import { readFile } from 'node:fs/promises';
import { loadClientConf } from '../config/client-conf.ts';
import { readableFingerprint } from '../enrol/fingerprint.ts';
import { EXIT } from '../exit-codes.ts';
import { type Paths, stateFiles } from '../paths.ts';
import type { Health } from '../service/heartbeat.ts';
import { agentAnswers } from '../service/socket-server.ts';
import { openApproverKeys } from '../state/approver-keys.ts';
import { readCheckpoint } from '../state/checkpoint.ts';
import { readCounter } from '../state/counter.ts';
import { loadEnrolment } from '../state/identity.ts';
import { AGENT_VERSION } from '../version.ts';

interface Line {
  what: string;
  value: string;
  /** What to do about it; null when all is well. */
  problem: string | null;
}

const STALE_MS = 11 * 60_000;

function heartbeatLine(health: Health | null, now: number): Line {
  const what = 'Last contact';
  if (health === null)
    return {
      what,
      value: 'none yet',
      problem: 'The agent has not spoken to the server. Run: systemctl status identree-agent',
    };
  const value = `${new Date(health.at).toISOString()}, ${health.result}${health.hostState ? `, this host is ${health.hostState}` : ''}`;
  if (health.result === 'refused' || health.result === 'unreachable') return { what, value, problem: health.message };
  if (health.hostState !== null && health.hostState !== 'active') {
    return { what, value, problem: 'An operator has to confirm this host in the console.' };
  }
  if (now - health.at > STALE_MS)
    return {
      what,
      value,
      problem: 'The agent has stopped speaking to the server. Run: systemctl restart identree-agent',
    };
  return { what, value, problem: null };
}

/** `identree status`: what this host is, and everything that keeps it from working. Exit 1 when something does. */
export async function statusCommand(
  paths: Paths,
  options: { json: boolean },
  print: (line: string) => void,
): Promise<number> {
  const files = stateFiles(paths.state);
  const lines: Line[] = [{ what: 'Version', value: AGENT_VERSION, problem: null }];
  const add = async (what: string, work: () => Promise<string>) => {
    try {
      lines.push({ what, value: await work(), problem: null });
    } catch (error) {
      lines.push({ what, value: 'not in order', problem: error instanceof Error ? error.message : String(error) });
    }
  };
  await add('Server', async () => (await loadClientConf(paths.config)).serverUrl);
  await add('Identity', async () => {
    const { identity } = await loadEnrolment(paths.state);
    return `${identity.hostname} (${identity.hostId}) at ${identity.externalUrl}`;
  });
  await add('Server key', async () => readableFingerprint((await loadEnrolment(paths.state)).trust.trustRoot.kid));
  await add('Approver keys', async () => {
    const set = (await openApproverKeys(files.approverKeys, (await loadEnrolment(paths.state)).trust)).current();
    return `version ${set.version}, ${set.keys.length} ${set.keys.length === 1 ? 'key' : 'keys'}`;
  });
  await add('Requests made', async () => String(await readCounter(files.counter)));
  await add('Event log seen', async () => {
    const seen = await readCheckpoint(files.checkpoint);
    if (seen.rolledBack !== null) {
      throw new Error(
        `The server's log ended at ${seen.rolledBack.seq} on ${new Date(seen.rolledBack.at).toISOString()}, this host has seen ${seen.seq}. ` +
          'Its decisions are refused until the log has caught up. If the server was restored from a backup on purpose, enrol this host again: identree enroll --replace',
      );
    }
    return `up to ${seen.seq}`;
  });
  const running = await agentAnswers(paths.socket);
  lines.push({
    what: 'Agent',
    value: running ? `running on ${paths.socket}` : 'not running',
    problem: running ? null : 'Run: systemctl start identree-agent',
  });
  const health = await readFile(files.health, 'utf8').then(
    (text) => JSON.parse(text) as Health,
    () => null,
  );
  lines.push(heartbeatLine(health, Date.now()));

  const healthy = lines.every((line) => line.problem === null);
  if (options.json) print(JSON.stringify({ healthy, lines, health }));
  else {
    const width = Math.max(...lines.map((line) => line.what.length)) + 2;
    for (const line of lines) {
      print(`${line.what.padEnd(width)}${line.value}`);
      if (line.problem !== null) print(`${''.padEnd(width)}${line.problem}`);
    }
  }
  return healthy ? EXIT.ok : EXIT.failed;
}
