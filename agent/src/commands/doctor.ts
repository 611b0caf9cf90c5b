import { command, needRootFor, PATH_OPTIONS } from './context.ts';

export const doctor = command({
  name: 'doctor',
  aliases: ['status'],
  help: 'what this host is and what keeps it from working',
  options: { ...PATH_OPTIONS, json: { help: 'for programs' } },
  async run({ print }, { options }) {
    needRootFor(options);
    const { reportStatus } = await import('../status/status.ts');
    return reportStatus(options, { json: options.json }, print);
  },
});
