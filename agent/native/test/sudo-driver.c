/*
 * Calls the plugin in the order in which sudo 1.9 does, and prints what it returns: the plugin
 * itself cannot be sanitised inside a real sudo, which drops such an environment.
 *
 *   sudo-driver [OPTION...] COMMAND [ARG...]
 *     --list          only what sudo -l does: no command
 *     --no-approval   sudo.conf without the approval plugin
 *     --inner         the command starts another one, which intercept catches
 *     --log-subcmds   the command starts another one, which sudo only logs
 *     --job           in a process group of its own, as a shell with job control starts it
 *     --reject TEXT   another plugin refuses after the approval
 *     --exit STATUS   wait status of the command (waitpid)
 *     --errno NUMBER  the command could not be executed
 *     --fault NUMBER  sudo itself failed while the command ran
 *     --uid NUMBER    who runs sudo, 1000 otherwise
 *     --fill NUMBER   as many bytes of environment
 *     --types TEXT    what the person types at a prompt; without it they press Ctrl-C
 *     --interactive   without sudo -n
 */
#define _GNU_SOURCE
#include "sudo-api.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define MAX_VARIABLES 256
#define OF_LIBC 0x04000000 /* SA_RESTORER, which it sets for itself */

extern const struct audit_plugin identree_audit;
extern const struct approval_plugin identree_approval;

/* The address sanitizer's, whose header not every compiler brings along. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static const char *types;
static const char *reply;
static size_t reply_len;
static sigset_t sudo_mask;

static void ignore_new(const volatile void *pointer, size_t size)
{
    (void)pointer, (void)size;
}

/* What was typed must not lie about in memory that others get. */
static void check_wiped(const volatile void *pointer)
{
    if (pointer == NULL || pointer != reply)
        return;
    for (size_t i = 0; i < reply_len; i++)
        if (reply[i] != '\0')
            abort();
    reply = NULL;
}

/* As sudo's: NULL without an answer, else in memory that the plugin frees. */
static char *prompt(const struct sudo_conv_message *msg)
{
    sigset_t now;
    char *line;

    printf("prompt %s %s\n", msg->msg_type == SUDO_CONV_PROMPT_ECHO_ON ? "on" : "off", msg->msg);
    sigprocmask(SIG_SETMASK, NULL, &now);
    if (sigismember(&now, SIGINT) != sigismember(&sudo_mask, SIGINT))
        printf("Ctrl-C would not end the prompt\n");
    if (types == NULL)
        return NULL;
    reply_len = strlen(types);
    line = strdup(types);
    reply = line;
    return line;
}

static int converse(int num_msgs, const struct sudo_conv_message msgs[],
                    struct sudo_conv_reply *replies, struct sudo_conv_callback *callback)
{
    (void)callback;
    for (int i = 0; i < num_msgs; i++) {
        if (msgs[i].msg_type == SUDO_CONV_PROMPT_ECHO_ON || msgs[i].msg_type == SUDO_CONV_PROMPT_ECHO_OFF) {
            replies[i].reply = prompt(&msgs[i]);
            if (replies[i].reply == NULL)
                return -1;
            continue;
        }
        if (msgs[i].msg_type != (SUDO_CONV_ERROR_MSG | SUDO_CONV_PREFER_TTY))
            abort(); /* anything else could reach stdout */
        if (write(STDERR_FILENO, msgs[i].msg, strlen(msgs[i].msg)) < 0)
            return -1;
    }
    return 0;
}

static int print(int msg_type, const char *format, ...)
{
    (void)msg_type, (void)format;
    abort(); /* it would buffer */
}

static char *settings[] = {"progname=sudo", "noninteractive=true", NULL};
static char uid_entry[32] = "uid=1000";
static char *user_info[] = {"user=alice", uid_entry, "cwd=/srv", "tty=/dev/pts/7", "lines=24", "cols=80", NULL};
static char *command_info[] = {"command=/usr/bin/id", "runas_uid=0", "runas_gid=0", "runas_user=root", NULL, NULL};
static char **const command_flag = &command_info[4];
static char *environment[] = {"PATH=/usr/bin", "EMPTY=", NULL, NULL};

/* What the plugin must leave as it was. */
struct process {
    sigset_t mask;
    struct sigaction action[NSIG];
    struct termios terminal;
    bool has_terminal;
    mode_t umask;
    int next_fd;
    long threads;
    uid_t ids[3];
    char folder[PATH_MAX];
    char locale[256];
    char **environment;
    char *variables[MAX_VARIABLES];
};

static long count_threads(void)
{
    DIR *folder = opendir("/proc/self/task");
    long count = 0;

    if (folder == NULL)
        abort();
    while (readdir(folder) != NULL)
        count++;
    closedir(folder);
    return count;
}

static void look_at_process(struct process *p)
{
    int tty = open("/dev/tty", O_RDONLY | O_NOCTTY);

    memset(p, 0, sizeof *p);
    sigprocmask(SIG_SETMASK, NULL, &p->mask);
    for (int sig = 1; sig < NSIG; sig++)
        (void)sigaction(sig, NULL, &p->action[sig]);
    p->has_terminal = tty >= 0 && tcgetattr(tty, &p->terminal) == 0;
    if (tty >= 0)
        (void)close(tty);
    p->umask = umask(0);
    (void)umask(p->umask);
    p->next_fd = dup(STDIN_FILENO);
    (void)close(p->next_fd);
    p->threads = count_threads();
    if (getresuid(&p->ids[0], &p->ids[1], &p->ids[2]) != 0 || getcwd(p->folder, sizeof p->folder) == NULL)
        abort();
    (void)snprintf(p->locale, sizeof p->locale, "%s", setlocale(LC_ALL, NULL));
    p->environment = environ;
    for (size_t i = 0; environ[i] != NULL && i < MAX_VARIABLES; i++)
        p->variables[i] = environ[i];
}

static void check_process(const struct process *was)
{
    static struct process now;

    look_at_process(&now);
    for (int sig = 1; sig < NSIG; sig++) {
        if (sigismember(&now.mask, sig) != sigismember(&was->mask, sig))
            printf("signal %d is blocked, or is no longer\n", sig);
        if (now.action[sig].sa_handler != was->action[sig].sa_handler ||
            ((now.action[sig].sa_flags ^ was->action[sig].sa_flags) & ~OF_LIBC) != 0)
            printf("signal %d does something else\n", sig);
    }
    if (now.has_terminal != was->has_terminal || memcmp(&now.terminal, &was->terminal, sizeof now.terminal) != 0)
        printf("the terminal has other modes\n");
    if (now.umask != was->umask)
        printf("the umask is another one\n");
    if (now.next_fd != was->next_fd)
        printf("descriptor %d is left open\n", was->next_fd);
    if (now.threads != was->threads)
        printf("there is another thread\n");
    if (memcmp(now.ids, was->ids, sizeof now.ids) != 0)
        printf("it is another account\n");
    if (strcmp(now.folder, was->folder) != 0 || strcmp(now.locale, was->locale) != 0)
        printf("it is in another folder, or another locale\n");
    if (now.environment != was->environment || memcmp(now.variables, was->variables, sizeof now.variables) != 0)
        printf("the environment is another one\n");
    if (waitpid(-1, NULL, WNOHANG) >= 0 || errno != ECHILD)
        printf("a child is left\n");
}

/* As sudo does from its start: signals are noted, and end nothing. One that is ignored stays so. */
static void note(int sig)
{
    (void)sig;
}

static void take_signals(void)
{
    static const int caught[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP, SIGCHLD};

    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
        struct sigaction act = {.sa_handler = note, .sa_flags = SA_RESTART}, was;

        if (sigaction(caught[i], NULL, &was) == 0 && was.sa_handler != SIG_IGN)
            (void)sigaction(caught[i], &act, NULL);
    }
}

/* Whoever returns is the job; its shell waits, and ends with its status. */
static void become_job(void)
{
    int status;
    pid_t job = fork();

    if (job < 0)
        abort();
    if (job == 0) {
        (void)setpgid(0, 0);
        return;
    }
    if (waitpid(job, &status, 0) != job)
        abort();
    _exit(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
}

static int approve(char *argv[])
{
    const char *errstr = NULL;
    int ok = identree_approval.open(SUDO_API_VERSION, converse, print, settings, user_info, 0, argv,
                                    environment, NULL, &errstr);

    printf("approval open %d\n", ok);
    if (ok != 1)
        return 1; /* sudo goes on without a plugin that does not open */
    ok = identree_approval.check(command_info, argv, environment, &errstr);
    printf("check %d %s\n", ok, errstr == NULL ? "-" : errstr);
    if (ok == 1)
        identree_audit.accept("identree_approval", SUDO_APPROVAL_PLUGIN, command_info, argv,
                              environment, &errstr);
    else
        identree_audit.reject("identree_approval", SUDO_APPROVAL_PLUGIN, errstr, command_info, &errstr);
    if (identree_approval.close != NULL)
        identree_approval.close();
    return ok;
}

static int run(char *argv[])
{
    const char *errstr = NULL;
    int ok = identree_audit.accept("sudo", SUDO_FRONT_END, command_info, argv, environment, &errstr);

    printf("accept %d %s\n", ok, errstr == NULL ? "-" : errstr);
    return ok;
}

int main(int argc, char *argv[])
{
    int type = SUDO_PLUGIN_WAIT_STATUS, status = 0, at = 1;
    int list = 0, approval = 1, inner = 0, logged = 0;
    const char *reject = NULL, *errstr = NULL;
    static struct process was;

    setvbuf(stdout, NULL, _IONBF, 0);
    take_signals();
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--list") == 0)
            list = 1;
        else if (strcmp(argv[at], "--no-approval") == 0)
            approval = 0;
        else if (strcmp(argv[at], "--inner") == 0)
            inner = 1, *command_flag = "intercept=true";
        else if (strcmp(argv[at], "--log-subcmds") == 0)
            logged = 1, *command_flag = "log_subcmds=true";
        else if (strcmp(argv[at], "--job") == 0)
            become_job();
        else if (strcmp(argv[at], "--interactive") == 0)
            settings[1] = NULL;
        else if (at + 1 == argc)
            return 2;
        else if (strcmp(argv[at], "--reject") == 0)
            reject = argv[++at];
        else if (strcmp(argv[at], "--types") == 0)
            types = argv[++at];
        else if (strcmp(argv[at], "--exit") == 0)
            status = atoi(argv[++at]);
        else if (strcmp(argv[at], "--uid") == 0)
            (void)snprintf(uid_entry, sizeof uid_entry, "uid=%s", argv[++at]);
        else if (strcmp(argv[at], "--errno") == 0) {
            type = SUDO_PLUGIN_EXEC_ERROR;
            status = atoi(argv[++at]);
        } else if (strcmp(argv[at], "--fault") == 0) {
            type = SUDO_PLUGIN_SUDO_ERROR;
            status = atoi(argv[++at]);
        } else if (strcmp(argv[at], "--fill") == 0) {
            size_t size = (size_t)atol(argv[++at]);
            char *fill = malloc(size + 1);

            if (fill == NULL)
                return 2;
            memset(fill, 'x', size);
            memcpy(fill, "FILL=", 5);
            fill[size] = '\0';
            environment[2] = fill;
        } else
            return 2;
    }
    look_at_process(&was);
    sudo_mask = was.mask;
    if (__sanitizer_install_malloc_and_free_hooks(ignore_new, check_wiped) == 0)
        return 2;

    printf("audit open %d\n", identree_audit.open(SUDO_API_VERSION, converse, print, settings,
                                                 user_info, 0, argv + at, environment, NULL, &errstr));
    check_process(&was);
    if (list) {
        printf("policy accept %d\n", identree_audit.accept("sudoers_policy", SUDO_POLICY_PLUGIN, NULL,
                                                          argv + at, environment, &errstr));
        identree_audit.close(SUDO_PLUGIN_NO_STATUS, 0);
    } else if (approval && approve(argv + at) != 1) {
        identree_audit.close(SUDO_PLUGIN_NO_STATUS, 0);
    } else {
        check_process(&was);
        if (reject != NULL) {
            identree_audit.error("other", SUDO_APPROVAL_PLUGIN, reject, command_info, &errstr);
            identree_audit.close(SUDO_PLUGIN_NO_STATUS, 0);
        } else if (run(argv + at) == 1) {
            printf("runs\n");
            if (logged || (inner && approve(argv + at) == 1))
                (void)run(argv + at);
            identree_audit.close(type, status);
        } else
            identree_audit.close(SUDO_PLUGIN_NO_STATUS, 0);
    }
    check_process(&was);
    free(environment[2]);
    if (reply != NULL)
        printf("what was typed is never freed\n");
    return 0;
}
