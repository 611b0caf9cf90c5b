import { setTimeout as sleep } from 'node:timers/promises';
import { ODD_SETTINGS } from '../config/module.ts';
import type { HealthReport } from '../http/health.ts';
import { configCommand, EXIT } from './command.ts';

export const serve = configCommand({
  name: 'serve',
  help: 'run the server',
  logsWarnings: true,
  async run({ config, warnings, out, err, onHangUp, untilStopped }) {
    const { createApp } = await import('../app/app.ts');
    const { endsInTime, endText, longestMs } = await import('../app/stopping.ts');
    const { redirectUriOf } = await import('../auth/addresses.ts');
    const { createLogger } = await import('../platform/logger.ts');
    // What a server says is read by programs, warnings first of all.
    const log = createLogger(config.logLevel, { write: err });
    // An administrator who wants errors only still has to hear what of the settings has no effect, and what does not work.
    const told = config.logLevel === 'error' ? createLogger('warn', { write: err }) : log;
    for (const warning of warnings) told.warn(warning);
    const app = await createApp(config, { log, oddSettings: warnings.length });
    try {
      await app.listen();
    } catch (error) {
      await app.close();
      throw error;
    }
    // Before it is said to be ready: a signal that comes on that word would end the process with its database open.
    const stopped = untilStopped();
    out(`identree is ready: ${config.externalUrl}\n`);
    out(`redirect URI, as the identity provider has to know it: ${redirectUriOf(config)}\n`);
    onHangUp(() => app.directory?.directory.refresh('signal'));
    // A server that listens and lets nobody in, or decides nothing, is not what "ready" promises.
    for (const line of toldAtStart(await app.health())) told.warn(line);
    await stopped;
    app.leave();
    await sleep(config.stopDelayMs);
    const end = await endsInTime(app.close(), app.stopping, longestMs(config.stopDelayMs) - config.stopDelayMs);
    if (!end.ended) told.error(endText(end));
    else if (end.waitedFor.length > 0 || end.unsent > 0) log.info(endText(end));
    return end.ended ? EXIT.ok : EXIT.failed;
  },
});

/** What is not well, and what there is to know besides. Each odd setting was told before. */
function toldAtStart({ checks, details = {} }: HealthReport): string[] {
  return Object.entries(checks)
    .filter(([name, value]) => name !== ODD_SETTINGS && (value !== 'ok' || details[name] !== undefined))
    .map(([name, value]) => `${name} is ${value}${details[name] === undefined ? '' : `: ${details[name]}`}`);
}
