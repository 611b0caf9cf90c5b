/** The PAM services that identree can decide for. */
export const SERVICES = ['sudo', 'sudo-i', 'sshd'] as const;
export type Service = (typeof SERVICES)[number];

export const STAGE = '/usr/lib/identree/identree-pam';

/**
 * The lines of a service. How they work, in the words of pam.conf(5):
 *
 * - `pam_permit` stands first, because pam_exec answers PAM_IGNORE to pam_setcred and sshd drops a session whose
 *   setcred nobody answered. It is `required`, so alone it decides nothing: the lines below it still have to.
 * - the stage is `success=done`: after its yes the rest of the file, with the password, is not asked.
 * - `pam_deny` ends everything else, as a failed authentication that sudo words decently.
 *
 * For sshd nothing may deny behind the stage: it asks pam_setcred in another process than the one that asked the stage,
 * so PAM walks the lines anew, the stage says PAM_IGNORE there, and a pam_deny would end every approved login.
 *
 * `stdout` on both lines: a login that ends without a yes is told why by the second stage. `expose_authtok` makes the
 * prompt that sshd needs before it shows any text. pam_exec has one wording for it, "Password: ", and no option for another.
 *
 * Any of these lines may get lost without the file becoming an open door: without the stage `pam_deny` denies, without
 * that too the file's own lines ask for the password again.
 */
export function stackLines(service: Service): string[] {
  const permit = 'auth required pam_permit.so';
  const deny = 'auth requisite pam_deny.so';
  if (service === 'sshd') {
    return [
      permit,
      `auth requisite pam_exec.so quiet seteuid stdout ${STAGE} ssh-begin`,
      `auth [success=done ignore=ignore default=die] pam_exec.so quiet seteuid stdout expose_authtok ${STAGE} ssh-wait`,
    ];
  }
  return [permit, `auth [success=done default=ignore] pam_exec.so quiet seteuid stdout ${STAGE} sudo`, deny];
}

/** sudo's own ticket would let commands through unseen, and its retries would make three requests of one denial. */
const SUDOERS_TEXT = `# Managed by identree; removed by: identree setup --undo
Defaults timestamp_timeout=0, passwd_tries=1
`;

/**
 * With the plugin, `sudo -n` has to come as far as the plugin, which knows whether it may run without anybody's answer.
 * Without this sudo refuses it before, since it cannot know that PAM will not ask for anything.
 */
const NONINTERACTIVE_TEXT = `${SUDOERS_TEXT}Defaults noninteractive_auth
`;

/** Our part of sudoers. @param noninteractive whether sudo -n is the plugin's to decide */
export const sudoersText = (noninteractive: boolean): string => (noninteractive ? NONINTERACTIVE_TEXT : SUDOERS_TEXT);

/** Only what the two stages need. Logins with a key alone do not pass PAM's auth stack; see docs for AuthenticationMethods. */
export const SSHD_TEXT = `# Managed by identree; removed by: identree setup --undo
# Users who sign in with a key are asked for an approval too with:
#   AuthenticationMethods publickey,keyboard-interactive:pam
KbdInteractiveAuthentication yes
# ssh would go on to ask for a password that lets nobody in, after a login that was denied.
PasswordAuthentication no
UsePAM yes
`;
