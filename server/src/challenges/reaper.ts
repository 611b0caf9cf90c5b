import type { HostService } from '../hosts/service.ts';
import type { ChallengeService } from './service.ts';

const TICK_MS = 500;
const NONCE_TICKS = 120;

/** Ends overdue challenges twice a second and, once a minute, forgets request nonces that can no longer be replayed. */
export function startReaper(deps: {
  challenges: Pick<ChallengeService, 'reap'>;
  hosts: Pick<HostService, 'forgetNonces'>;
  onError: (error: unknown) => void;
}): { stop(): void; done(): Promise<void> } {
  let running: Promise<void> = Promise.resolve();
  let busy = false;
  let ticks = 0;
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    ticks += 1;
    running = (async () => {
      try {
        await deps.challenges.reap();
        if (ticks % NONCE_TICKS === 0) await deps.hosts.forgetNonces();
      } catch (error) {
        deps.onError(error);
      } finally {
        busy = false;
      }
    })();
  }, TICK_MS).unref();
  return { stop: () => clearInterval(timer), done: () => running };
}
