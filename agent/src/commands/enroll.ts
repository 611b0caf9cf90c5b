import { command, needRootFor, PATH_OPTIONS } from './context.ts';

export const enroll = command({
  name: 'enroll',
  aliases: ['enrol'],
  help: 'make this host known to its server; the token comes on standard input',
  options: {
    ...PATH_OPTIONS,
    'token-file': { value: 'FILE', help: 'read the token from a file' },
    'secret-file': {
      value: 'FILE',
      help: 'enrol with the shared secret instead; an operator then confirms the host',
    },
    hostname: { value: 'NAME', help: "instead of the system's host name" },
    replace: { help: 'give up the present identity' },
  },
  async run({ print }, { options }) {
    needRootFor(options);
    const { enrollHost } = await import('../enrol/enroll-host.ts');
    return enrollHost(
      options,
      {
        tokenFile: options['token-file'],
        secretFile: options['secret-file'],
        hostname: options.hostname,
        replace: options.replace,
      },
      print,
    );
  },
});
