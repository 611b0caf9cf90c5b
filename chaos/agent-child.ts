import { readFileSync } from 'node:fs';
import { openHost, residentGate } from '../agent/src/app.ts';
import { createProcessReader } from '../agent/src/gate/proc.ts';
import type { Paths } from '../agent/src/paths.ts';
import { silentLog as log } from '../agent/src/platform/log.ts';
import { listen } from '../agent/src/service/socket-server.ts';

/** Where an agent finds its host, and the processes on it. */
export interface AgentChild {
  paths: Paths;
  /** A tree as /proc has it: no sudo runs where faults are brought about. */
  proc: string;
  build: string;
}

/** An agent that answers the plugin of sudo until it is killed. */
const { paths, proc, build } = JSON.parse(readFileSync(process.argv[2]!, 'utf8')) as AgentChild;
const host = await openHost(paths, { log });
const processes = createProcessReader(proc, async () => null);
const stopping = new AbortController().signal;
const plugin = { build, loads: async () => build };
const gate = residentGate(host, { processes, sessionOrigin: async () => null, plugin, log, stopping });
await listen(paths.socket, gate.handle);
