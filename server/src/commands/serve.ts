import { configCommand, EXIT } from './command.ts';

export const serve = configCommand({
  name: 'serve',
  help: 'run the server',
  async run({ config, out, onHangUp, untilStopped }) {
    const { createApp } = await import('../app/app.ts');
    const app = await createApp(config);
    try {
      await app.listen();
    } catch (error) {
      await app.close();
      throw error;
    }
    out(`identree is ready: ${config.externalUrl}\n`);
    onHangUp(() => app.directory?.directory.refresh('signal'));
    await untilStopped();
    await app.close();
    return EXIT.ok;
  },
});
