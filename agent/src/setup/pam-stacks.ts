/** The PAM services that identree can decide for. */
export const SERVICES = ['sudo', 'sudo-i', 'sshd'] as const;
export type Service = (typeof SERVICES)[number];

export const pamFile = (service: Service): string => `/etc/pam.d/${service}`;

/** What PAM loads, and what that starts. */
export const MODULE = '/usr/lib/identree/pam_identree.so';
export const STAGE = '/usr/lib/identree/identree-pam';

/**
 * The lines of a service. How they work, in the words of pam.conf(5):
 *
 * - `pam_permit` stands first, because the module answers PAM_IGNORE to pam_setcred and sshd drops a session whose
 *   setcred nobody answered. It is `required`, so alone it decides nothing: the lines below it still have to.
 * - the module is `success=done`: after its yes the rest of the file, with the password, is not asked. Its no ends the
 *   file with what it says, PAM_PERM_DENIED.
 * - `pam_deny` ends everything else: a module that cannot be loaded.
 *
 * For sshd nothing may deny behind the module: it asks pam_setcred in another process than the one that asked the module,
 * so PAM walks the lines anew, the module says PAM_IGNORE there, and a pam_deny would end every approved login.
 *
 * Any of these lines may get lost without the file becoming an open door: without the module `pam_deny` denies, without
 * that too the file's own lines ask for the password again.
 */
export function stackLines(service: Service): string[] {
  const permit = 'auth required pam_permit.so';
  const deny = 'auth requisite pam_deny.so';
  if (service === 'sshd') return [permit, `auth [success=done ignore=ignore default=die] ${MODULE} ssh`];
  return [permit, `auth [success=done perm_denied=die default=ignore] ${MODULE} sudo`, deny];
}

/** How a PAM file has identree asked: by the module, by pam_exec as earlier versions set it up, or not at all. */
export function asksThrough(text: string): 'module' | 'pam_exec' | null {
  const active = (line: RegExp) => line.test(text);
  if (active(/^[^#\n]*\/pam_identree\.so[ \t]+(sudo|ssh)[ \t]*$/m)) return 'module';
  return active(/^[^#\n]*\bpam_exec\.so\b[^\n]*\/identree-pam[ \t]/m) ? 'pam_exec' : null;
}

/** sudo's own ticket would let commands through unseen, and its retries would make three requests of one denial. */
const SUDOERS_TEXT = `# Managed by identree; removed by: identree setup --undo
Defaults timestamp_timeout=0, passwd_tries=1
`;

/**
 * sudo has one word for every no of PAM, and it is about a password that nobody was asked for (`authfail_message` of
 * sudoers(5), since 1.8.22).
 */
const REFUSED_TEXT = `Defaults authfail_message="not approved, so nothing was run"
`;

/**
 * With the plugin, `sudo -n` has to come as far as the plugin, which knows whether it may run without anybody's answer.
 * Without this sudo refuses it before, since it cannot know that PAM will not ask for anything.
 */
const NONINTERACTIVE_TEXT = `Defaults noninteractive_auth
`;

/**
 * Our part of sudoers.
 *
 * @param options.noninteractive whether sudo -n is the plugin's to decide
 * @param options.wordsRefusal whether this sudo can be told what to say of a no
 */
export const sudoersText = (options: { noninteractive: boolean; wordsRefusal: boolean }): string =>
  [
    SUDOERS_TEXT,
    ...(options.wordsRefusal ? [REFUSED_TEXT] : []),
    ...(options.noninteractive ? [NONINTERACTIVE_TEXT] : []),
  ].join('');

/** Only what the module needs. Logins with a key alone do not pass PAM's auth stack; see docs for AuthenticationMethods. */
export const SSHD_TEXT = `# Managed by identree; removed by: identree setup --undo
# Users who sign in with a key are asked for an approval too with:
#   AuthenticationMethods publickey,keyboard-interactive:pam
KbdInteractiveAuthentication yes
# ssh would go on to ask for a password that lets nobody in, after a login that was denied.
PasswordAuthentication no
UsePAM yes
`;
