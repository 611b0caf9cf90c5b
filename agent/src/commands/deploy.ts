import { command } from './context.ts';

export const deploy = command({
  name: 'deploy',
  help: 'install hosts over ssh, from the machine of an operator and with their keys',
  options: {
    server: { value: 'URL', help: 'the server that hosts are installed from' },
    key: {
      value: 'FILE',
      help: 'the public key that has signed what the server hands out',
      default: '/etc/identree/install.pub',
    },
    ca: { value: 'FILE', help: "who signed the server's certificate, where this machine does not know" },
    hosts: { value: 'FILE', help: 'hosts, one a line: NAME, or NAME and what ssh connects to' },
    'token-command': { value: 'COMMAND', help: 'prints an enrolment token; run with the name of a host behind it' },
    pam: { value: 'LIST', help: 'what is switched over, instead of sudo,sudo-i' },
    sssd: { help: "take people, groups and sudo rules from the server's directory" },
    auditd: { help: 'have the kernel write down who reads or changes what identree rests on' },
    'no-setup': { help: 'install and enrol, and leave sudo as it is' },
    'no-confirm': { help: 'keep it at once: if it locks everybody out, nothing puts it back' },
    'ssh-config': { value: 'FILE', help: 'instead of ~/.ssh/config' },
    jump: { value: 'HOST', help: 'connect over this host, as ssh -J does' },
    parallel: { value: 'N', help: 'hosts at a time', default: '8' },
    record: { value: 'FILE', help: 'what was done, instead of ~/.local/state/identree/deploy.jsonl' },
    again: { help: 'also hosts that an earlier run has done' },
    'dry-run': { help: 'connect and look; change nothing' },
    json: { help: 'a line of JSON for each thing that happens' },
  },
  rest: '[HOST[=DESTINATION]...]',
  async run({ out, log, stopSignal }, { options, rest }) {
    const { deploy: run } = await import('../deploy/deploy.ts');
    return run(
      {
        server: options.server,
        key: options.key,
        ca: options.ca,
        hosts: options.hosts,
        tokenCommand: options['token-command'],
        pam: options.pam,
        sssd: options.sssd,
        auditd: options.auditd,
        noSetup: options['no-setup'],
        noConfirm: options['no-confirm'],
        sshConfig: options['ssh-config'],
        jump: options.jump,
        parallel: options.parallel,
        record: options.record,
        again: options.again,
        dryRun: options['dry-run'],
        json: options.json,
      },
      rest,
      { out, log, stop: stopSignal() },
    );
  },
});
