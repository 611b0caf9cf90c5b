import type { HealthReport } from '../http/health.ts';
import { configCommand, EXIT } from './command.ts';

export const serve = configCommand({
  name: 'serve',
  help: 'run the server',
  async run({ config, out, err, onHangUp, untilStopped }) {
    const { createApp } = await import('../app/app.ts');
    const { redirectUriOf } = await import('../auth/addresses.ts');
    const app = await createApp(config);
    try {
      await app.listen();
    } catch (error) {
      await app.close();
      throw error;
    }
    out(`identree is ready: ${config.externalUrl}\n`);
    out(`redirect URI, as the identity provider has to know it: ${redirectUriOf(config)}\n`);
    onHangUp(() => app.directory?.directory.refresh('signal'));
    const stopped = untilStopped();
    // A server that listens and lets nobody in, or decides nothing, is not what "ready" promises.
    for (const line of toldAtStart(await app.health())) err(`warning: ${line}\n`);
    await stopped;
    await app.close();
    return EXIT.ok;
  },
});

/** What is not well, and what there is to know besides. */
function toldAtStart({ checks, details = {} }: HealthReport): string[] {
  return Object.entries(checks)
    .filter(([name, value]) => value !== 'ok' || details[name] !== undefined)
    .map(([name, value]) => `${name} is ${value}${details[name] === undefined ? '' : `: ${details[name]}`}`);
}
