import { readFileSync } from 'node:fs';
import { openHost } from '../agent/src/app.ts';
import { createGate } from '../agent/src/gate/gate.ts';
import { createLogin } from '../agent/src/gate/login.ts';
import { createResidentLogins } from '../agent/src/gate/logins.ts';
import { createProcessReader } from '../agent/src/gate/proc.ts';
import { createRegisteredSudos } from '../agent/src/gate/registered-sudos.ts';
import { createSudoPlugin } from '../agent/src/gate/sudo-plugin.ts';
import type { Paths } from '../agent/src/paths.ts';
import { systemClock } from '../agent/src/platform/clock.ts';
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
const { ask, breakGlass } = host;
const { contact, noninteractive } = host.conf;
const processes = createProcessReader(proc, async () => null);
const registered = createRegisteredSudos(processes);
const sessionOrigin = async () => null;
const clock = systemClock;
const gate = createGate({
  plugin: {
    registered,
    sudo: createSudoPlugin({
      ...{ ask, breakGlass, processes, registered, sessionOrigin, build, noninteractive, contact, log },
    }),
  },
  ask,
  breakGlass,
  login: createLogin({ ask, breakGlass, processes, clock }),
  logins: createResidentLogins({ ask, breakGlass, processes, contact, clock }),
  processes,
  sessionOrigin,
  contact,
  clock,
  log,
  reportOutcome: 'after',
});
await listen(paths.socket, gate.handle);
