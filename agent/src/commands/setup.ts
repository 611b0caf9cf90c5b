import { SERVICES } from '../setup/pam-stacks.ts';
import { command, needRoot, PATH_OPTIONS } from './context.ts';

export const setup = command({
  name: 'setup',
  help: 'let identree decide on this host, and take people and rules from its directory',
  options: {
    ...PATH_OPTIONS,
    pam: { value: 'LIST', help: `let identree decide for these, comma-separated: ${SERVICES.join(',')}` },
    sudo: {
      value: 'GATE',
      help: 'who asks for sudo: plugin (what sudo resolved; the default where it can be) or pam; alone, for sudo,sudo-i',
    },
    sssd: { help: "take people, groups and sudo rules from the server's directory" },
    'host-access': { help: 'with --sssd: only people whom the directory names for this host may log in' },
    'start-tls': { help: 'protect an ldap:// address with StartTLS' },
    'allow-plain-ldap': { help: 'do without TLS, knowing that the network then decides who is root' },
    force: { help: "replace an sssd.conf that is not identree's; --undo brings it back" },
    'sudo-ldap': { help: 'have sudo read its rules there, when sssd asks another directory' },
    auditd: { help: 'have the kernel write down who reads or changes what identree rests on' },
    hostname: { value: 'NAME', help: 'do nothing unless this host is enrolled under this name' },
    'confirm-within': { value: 'MINUTES', help: 'put everything back unless it is confirmed by then; 10 when absent' },
    'no-confirm': { help: 'keep it at once: if it locks everybody out, nothing puts it back' },
    confirm: { help: 'keep what was set up; from another login than the one that did it' },
    revert: { help: 'put back now what waits to be confirmed' },
    undo: { help: 'put everything back as it was' },
    'dry-run': { help: 'show what would change' },
  },
  async run({ print, log }, { options }) {
    needRoot();
    const { runSetup } = await import('../setup/run-setup.ts');
    return runSetup(
      options,
      {
        pam: options.pam,
        sudo: options.sudo,
        sssd: options.sssd,
        sudoLdap: options['sudo-ldap'],
        hostAccess: options['host-access'],
        startTls: options['start-tls'],
        allowPlainLdap: options['allow-plain-ldap'],
        force: options.force,
        auditd: options.auditd,
        hostname: options.hostname,
        confirm: options.confirm,
        confirmWithin: options['confirm-within'],
        noConfirm: options['no-confirm'],
        revert: options.revert,
        undo: options.undo,
        dryRun: options['dry-run'],
      },
      { print, log },
    );
  },
});
