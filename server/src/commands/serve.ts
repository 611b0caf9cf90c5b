import { createApp } from '../app/app.ts';
import { type Command, EXIT } from './command.ts';

/** `identree-server serve`: runs until it is told to stop. */
export async function serve(command: Command): Promise<number> {
  const app = await createApp(command.config);
  try {
    await app.listen();
  } catch (error) {
    await app.close();
    throw error;
  }
  command.out(`identree is ready: ${command.config.externalUrl}\n`);
  command.onHangUp(() => app.directory?.directory.refresh('signal'));
  await command.untilStopped();
  await app.close();
  return EXIT.ok;
}
