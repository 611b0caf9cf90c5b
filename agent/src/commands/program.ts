import type { Program } from '#shared/command-line/command.ts';
import { EXIT, EXIT_MEANINGS } from '../exit-codes.ts';
import { AGENT_VERSION } from '../version.ts';
import { agent } from './agent.ts';
import { combineBreakglass } from './combine-breakglass.ts';
import { completions } from './completions.ts';
import { type AgentContext, PATH_OPTIONS } from './context.ts';
import { deploy } from './deploy.ts';
import { doctor } from './doctor.ts';
import { enroll } from './enroll.ts';
import { gate } from './gate.ts';
import { renewCert } from './renew-cert.ts';
import { rotateBreakglass } from './rotate-breakglass.ts';
import { sealImage } from './seal-image.ts';
import { setup } from './setup.ts';
import { signScript } from './sign-script.ts';
import { tryCommand } from './try.ts';
import { uninstall } from './uninstall.ts';
import { verifyApproval } from './verify-approval.ts';
import { verifyBreakglass } from './verify-breakglass.ts';
import { verifyInstall } from './verify-install.ts';

/** What `identree` can do. None of these files imports what a command works with before it is run: sudo waits for us. */
export const PROGRAM: Program<AgentContext> = {
  name: 'identree',
  version: AGENT_VERSION,
  title: 'sudo and SSH on this host, approved elsewhere',
  commands: [
    enroll,
    setup,
    uninstall,
    doctor,
    renewCert,
    rotateBreakglass,
    sealImage,
    verifyBreakglass,
    combineBreakglass,
    tryCommand,
    verifyApproval,
    verifyInstall,
    signScript,
    deploy,
    completions,
    agent,
    gate,
  ],
  common: PATH_OPTIONS,
  exits: Object.fromEntries(
    (Object.keys(EXIT) as (keyof typeof EXIT)[]).map((name) => [EXIT[name], EXIT_MEANINGS[name]]),
  ),
  configuration: 'Configuration: /etc/identree/client.conf. The environment changes nothing.',
};
