import type { Program } from '#shared/command-line/command.ts';
import { VERSION } from '../version.ts';
import { audit } from './audit.ts';
import { backup } from './backup.ts';
import { ca } from './ca.ts';
import { type CommandIo, EXIT, EXIT_MEANINGS } from './command.ts';
import { completions } from './completions.ts';
import { exportApproval } from './export-approval.ts';
import { hosts } from './hosts.ts';
import { notify } from './notify.ts';
import { recoveryCode } from './recovery-code.ts';
import { restore } from './restore.ts';
import { revealBreakglass } from './reveal-breakglass.ts';
import { serve } from './serve.ts';
import { trust } from './trust.ts';
import { uidmap } from './uidmap.ts';
import { verifyLog } from './verify-log.ts';
import { verifyWebhook } from './verify-webhook.ts';

/** What `identree-server` can do. What a command works with is loaded when it is run. */
export const PROGRAM: Program<CommandIo> = {
  name: 'identree-server',
  version: VERSION,
  title: 'the server of identree',
  commands: [
    serve,
    hosts,
    recoveryCode,
    revealBreakglass,
    exportApproval,
    trust,
    ca,
    verifyLog,
    verifyWebhook,
    audit,
    notify,
    uidmap,
    backup,
    restore,
    completions,
  ],
  common: {},
  exits: Object.fromEntries(
    (Object.keys(EXIT) as (keyof typeof EXIT)[]).map((name) => [EXIT[name], EXIT_MEANINGS[name]]),
  ),
  configuration: 'Configuration: environment, /etc/identree/identree.toml. See docs/configuration.md.',
};
