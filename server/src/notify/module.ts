import { hostname } from 'node:os';
import type { LogReads } from '../audit/log-reads.ts';
import type { ViewerResolver } from '../auth/resolve-viewer.ts';
import type { Standing } from '../auth/standing.ts';
import type { Announcing } from '../challenges/announcing.ts';
import { createLeases } from '../db/leases.ts';
import type { HostService } from '../hosts/service.ts';
import type { Ground, Module } from '../platform/module.ts';
import { createRateLimiter } from '../platform/rate-limiter.ts';
import type { Channel } from './channel.ts';
import { listNames, type StoredChannel } from './channel-store.ts';
import { createVapid } from './channels/vapid.ts';
import { createChosen } from './chosen.ts';
import { createConfigured } from './configured.ts';
import { createDeliveries } from './deliveries.ts';
import { createExplain } from './explain.ts';
import { notifyMetrics } from './measured.ts';
import type { OneTapLink } from './notice.ts';
import { createPlanning, type OfPolicy } from './planning.ts';
import { createNotifyReader } from './reader.ts';
import { createRoutes } from './route-rules.ts';
import { createNotifyRouter } from './router.ts';
import { createSender } from './sender.ts';
import { createSystemChannels } from './system-channels.ts';
import { createTakeOver } from './take-over.ts';
import { createToOne } from './to-one.ts';
import { createUses } from './uses.ts';

/** How often is looked for deliveries that are kept no longer, milliseconds. */
const FORGET_EVERY_MS = 10 * 60_000;
/** Tests of channels that a person may send in a minute: each is something that somebody has to read. */
const TESTS_A_MINUTE = 10;
/** How often a person may have their last week looked through in a minute. */
const WEEKS_A_MINUTE = 20;
/** How often a session may ask which requests it is told of in a minute. An open page asks once a second in a flood. */
const SCREENS_A_MINUTE = 240;

/** Makes a channel of what is stored. @throws with what is wrong, for those who typed it: without secrets */
export type CreateChannel = (stored: StoredChannel) => Channel;

/** What is given to it from elsewhere. */
export interface NotifySeams {
  /** Replaces all kinds of channels. */
  createChannel?: CreateChannel;
  /** What the approval policy says about telling people. Nothing unless it is given. */
  ofPolicy?: OfPolicy;
  /** Links with which one person decides. None unless it is given. */
  oneTapLink?: OneTapLink;
}

/**
 * Tells people what happens: who is told what follows from the log, and what is to be told is written down before it is
 * tried, so that nothing is lost on the way.
 */
export function notifyModule(
  ground: Ground & { hosts: Pick<HostService, 'facts'> },
  others: NotifySeams & {
    people: Pick<ViewerResolver, 'allAbsent' | 'called'>;
    standing: Pick<Standing, 'personMayAct'>;
    announcing: Announcing;
    reads: LogReads;
  },
) {
  const { db, clock, random, log } = ground;
  const vapid = createVapid(ground.keys.storage, ground.config.externalUrl);
  const createChannel = others.createChannel ?? createSystemChannels(ground, vapid);
  const { metrics, counted, took } = notifyMetrics(() => listNames(db.query));
  let unlisten = () => {};

  /** Also where another process delivers. */
  function wake(): void {
    sender.wake();
    db.notify().catch((err: unknown) => log.warn({ err }, 'other servers look for notifications a second later'));
  }

  const configured = createConfigured({ ...ground, createChannel, wake });
  const planning = createPlanning({
    ...ground,
    ...others,
    ofPolicy: others.ofPolicy ?? (() => ({ channels: [], steps: [] })),
  });
  const sender = createSender({
    ...ground,
    createChannel,
    announcing: others.announcing,
    oneTapLink: others.oneTapLink ?? (async () => null),
    mayBeTold: planning.mayBeTold,
    leases: createLeases({ db, clock, holder: `${hostname()} ${random.uuid()}` }),
    hostname: hostname(),
    timeoutMs: ground.config.notify.timeoutMs,
    forget: configured.forget,
    counted,
    took,
  });
  const deliveries = createDeliveries({ ...ground, wake });
  const routes = createRoutes(ground);
  const chosen = createChosen(ground);
  return {
    name: 'notify',
    metrics,
    readers: { notify: createNotifyReader({ planning, clock, wake }) },
    jobs: [{ name: 'old notifications', everyMs: FORGET_EVERY_MS, run: deliveries.forgetOld }],
    async start() {
      unlisten = db.onNotify(sender.wake);
      sender.start();
    },
    async stop() {
      unlisten();
      await sender.stop();
    },
    procedures: {
      notify: createNotifyRouter({
        ...ground,
        ...{ configured, routes, chosen, deliveries },
        explain: createExplain({ ...ground, planning }),
        uses: createUses(ground),
        takeOver: createTakeOver({ ...ground, people: others.people, configured, routes, chosen }),
        toOne: createToOne({ ...ground, planning }),
        reads: others.reads,
        pushKey: vapid.publicKey,
        tests: createRateLimiter({ clock, limit: TESTS_A_MINUTE, windowMs: 60_000 }),
        weeks: createRateLimiter({ clock, limit: WEEKS_A_MINUTE, windowMs: 60_000 }),
        screens: createRateLimiter({ clock, limit: SCREENS_A_MINUTE, windowMs: 60_000 }),
      }),
    },
    notify: { configured, routes, chosen, deliveries, planning, wake: sender.wake },
  } satisfies Module & Record<string, unknown>;
}
