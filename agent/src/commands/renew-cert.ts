import { command, needRootFor, PATH_OPTIONS } from './context.ts';

export const renewCert = command({
  name: 'renew-cert',
  help: 'get a new certificate now; the agent does so by itself in time',
  options: PATH_OPTIONS,
  async run({ print, log }, { options }) {
    needRootFor(options);
    const { renewNow } = await import('../certificates/renew-now.ts');
    return renewNow(options, log, print);
  },
});
