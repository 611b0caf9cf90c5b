/*
 * identree_sudo.so: an audit and an approval plugin of sudo 1.9. sudo calls the approval plugin
 * after sudoers has accepted a command, with what it is about to execute; the agent asks for the
 * approval of exactly that, and here it is waited for. The audit plugin tells the agent that
 * this sudo asks by itself, so that the PAM stage need not, and afterwards what became of the
 * command. README.md describes the protocol.
 *
 * All of this runs inside sudo: no thread, no allocation, nothing of the process is changed but
 * for the time of the wait.
 */
#include "hook-client.h"
#include "outcome.h"
#include "plugin-agent.h"
#include "plugin-ask.h"
#include "plugin-session.h"
#include "plugin-wait.h"
#include "sudo-api.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define REASON_MAX 400

enum stage {
    NOTHING_RELEASED,
    RELEASED, /* by an approval, or because root asks */
    STARTED,
};

/* What became of one command. */
struct command {
    enum stage stage;
    struct request request;
    int64_t released_at;
};

static struct {
    struct command command;
    struct command inner; /* the last one that the first has started (intercept) */
    char refused[REASON_MAX + 1]; /* why sudo did not start what was released */
} self;

static void report(const struct command *command, const char *event, int status_type, int status, const char *reason)
{
    const struct report told = {
        .event = event,
        .status_type = status_type,
        .status = status,
        .reason = reason,
        .released_at = command->released_at,
    };

    report_run(&command->request, &told);
}

/* An agent that was told that its yes is used at once says that it was; what refuses it after all is known here only. */
static void report_unused(struct command *command, const struct question *question, struct ending ending)
{
    if (!question->ready || ending.outcome == REFUSED)
        return;
    command->released_at = hook_now_ms();
    report(command, "refused", SUDO_PLUGIN_NO_STATUS, 0,
           ending.outcome == CANCELLED ? "it was cancelled before it started"
                                       : "the approval did not reach it in time");
}

/*
 * Whether an error that close is told means that nothing ran. sudo says in the same way that it has lost sight of a command
 * that runs: its monitor was killed, which whoever asks may do, or output could not be passed on. Only what execve(2) alone
 * says, and fork(2) without a process, is believed.
 */
static bool not_executed(int status_type, int error)
{
    static const int never_ran[] = {E2BIG,        EACCES, EAGAIN,  EISDIR,  ELIBBAD, ELOOP,
                                    ENAMETOOLONG, ENOENT, ENOEXEC, ENOTDIR, ETXTBSY};

    for (size_t i = 0; i < sizeof never_ran / sizeof *never_ran; i++)
        if (error == never_ran[i])
            return status_type == SUDO_PLUGIN_EXEC_ERROR;
    return false;
}

static int audit_open(unsigned int version, sudo_conv_t conversation, sudo_printf_t print,
                      char *const settings[], char *const user_info[], int submit_optind,
                      char *const submit_argv[], char *const submit_envp[],
                      char *const options[], const char **errstr)
{
    (void)print, (void)submit_optind, (void)submit_argv, (void)submit_envp;
    (void)options, (void)errstr;
    session_open(version, conversation, settings, user_info);
    if (!session.root)
        register_sudo();
    return 1;
}

/*
 * sudo skips an approval plugin whose open does not succeed and runs the command: whatever is
 * wrong is found, and refused, in check.
 */
static int approval_open(unsigned int version, sudo_conv_t conversation, sudo_printf_t print,
                         char *const settings[], char *const user_info[], int submit_optind,
                         char *const submit_argv[], char *const submit_envp[],
                         char *const options[], const char **errstr)
{
    (void)print, (void)submit_optind, (void)submit_argv, (void)submit_envp;
    (void)options, (void)errstr;
    session_open(version, conversation, settings, user_info);
    return 1;
}

static int approval_check(char *const command_info[], char *const run_argv[],
                          char *const run_envp[], const char **errstr)
{
    const bool inner = self.command.stage == STARTED;
    struct command *command = inner ? &self.inner : &self.command;
    struct plugin_wait wait;
    struct question question = {
        .command_info = command_info,
        .argv = run_argv,
        .environment = run_envp,
        .intercepted = inner,
        .request = &command->request,
        .wait = &wait,
    };

    command->stage = NOTHING_RELEASED;
    self.refused[0] = '\0';
    question.request->known = question.request->overflow = false;
    question.request->token_len = 0;
    if (!session.root) {
        struct ending ending;

        if (!plugin_wait_begin(&wait, inner)) {
            say_refused("identree: sudo cannot wait for an answer here; sudo is refused.");
            *errstr = "identree cannot watch for signals";
            return 0;
        }
        ending = ask(&question);
        plugin_wait_end(&wait, question.told);
        say_ending(ending);
        if (!permits(ending)) {
            report_unused(command, &question, ending);
            *errstr = "not approved";
            return 0;
        }
    }
    command->stage = RELEASED;
    command->released_at = hook_now_ms();
    return 1;
}

/* Why a released command is not started after all. The first that says so knows best. */
static int note_refusal(const char *message)
{
    if (self.command.stage == RELEASED && self.refused[0] == '\0' && message != NULL)
        (void)snprintf(self.refused, sizeof self.refused, "%s", message);
    return 1;
}

/*
 * The last word before a command starts. Without a release by check, sudo has not loaded the
 * approval plugin, while the PAM stage has stepped aside for it: nothing may run then.
 */
static int audit_accept(const char *plugin_name, unsigned int plugin_type,
                        char *const command_info[], char *const run_argv[],
                        char *const run_envp[], const char **errstr)
{
    const bool inner = self.command.stage == STARTED;
    struct command *command = inner ? &self.inner : &self.command;

    (void)plugin_name, (void)run_argv, (void)run_envp;
    if (plugin_type != SUDO_FRONT_END)
        return 1;
    if (command->stage != RELEASED) {
        /* What an approved command starts is nobody's decision where sudo only logs it (log_subcmds). */
        if (inner && !is_true(command_info, "intercept"))
            return 1;
        *errstr = "sudo.conf loads identree's audit plugin without its approval plugin";
        return 0;
    }
    /* Who asks may stop sudo, whose real uid is theirs, and start the command another day. */
    if (!session.root && hook_now_ms() - command->released_at >= setting.start_within_ms) {
        *errstr = "it was approved too long ago";
        (void)note_refusal(*errstr);
        return 0;
    }
    command->stage = STARTED;
    /* What a command starts by itself sudo lets go on, and sees neither its start nor its end. */
    if (!inner)
        report(command, "started", SUDO_PLUGIN_NO_STATUS, 0, NULL);
    return 1;
}

static int audit_reject(const char *plugin_name, unsigned int plugin_type, const char *message,
                        char *const command_info[], const char **errstr)
{
    (void)plugin_name, (void)plugin_type, (void)command_info, (void)errstr;
    return note_refusal(message);
}

static int audit_error(const char *plugin_name, unsigned int plugin_type, const char *message,
                       char *const command_info[], const char **errstr)
{
    (void)plugin_name, (void)plugin_type, (void)command_info, (void)errstr;
    return note_refusal(message);
}

static void audit_close(int status_type, int status)
{
    if (self.command.stage == STARTED) {
        const bool refused = not_executed(status_type, status);

        report(&self.command, refused ? "refused" : "ended", status_type, status,
               refused ? strerror(status) : NULL);
    } else if (self.command.stage == RELEASED) {
        report(&self.command, "refused", status_type, status,
               self.refused[0] == '\0' ? NULL : self.refused);
    }
    self.command.stage = NOTHING_RELEASED;
}

/* sudo -V, which runs nothing: to stdout, as sudo's own. */
static int show_version(int verbose)
{
    const struct sudo_conv_message message = {
        .msg_type = SUDO_CONV_INFO_MSG,
        .msg = "identree plugin, build " IDENTREE_BUILD_ID "\n",
    };

    (void)verbose;
    if (session.conversation != NULL)
        (void)session.conversation(1, &message, NULL, NULL);
    return 1;
}

#define EXPORTED __attribute__((visibility("default")))

extern const struct audit_plugin identree_audit;
extern const struct approval_plugin identree_approval;

EXPORTED const struct audit_plugin identree_audit = {
    .type = SUDO_AUDIT_PLUGIN,
    .version = SUDO_API_VERSION,
    .open = audit_open,
    .close = audit_close,
    .accept = audit_accept,
    .reject = audit_reject,
    .error = audit_error,
    .show_version = show_version,
};

EXPORTED const struct approval_plugin identree_approval = {
    .type = SUDO_APPROVAL_PLUGIN,
    .version = SUDO_API_VERSION,
    .open = approval_open,
    .check = approval_check,
    .show_version = show_version,
};
