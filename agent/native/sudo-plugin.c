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
#define _GNU_SOURCE
#include "child.h"
#include "contact.h"
#include "hook-client.h"
#include "outcome.h"
#include "parent.h"
#include "places.h"
#include "plugin-wait.h"
#include "sudo-api.h"

#include <errno.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#ifndef IDENTREE_BUILD_ID
#error "IDENTREE_BUILD_ID says which sources this was built from"
#endif

#define REGISTER_MS 1000   /* for the whole registration: sudo -l waits for it too */
#define ACCEPT_MS 3000     /* from the question to the agent's first word */
#define DIRECT_ENDS_MS 200
#define AGENT_START_MS 5000
#define AGENT_BACK_MS 45000 /* the server keeps a request that long without its host */
#define TELL_MS 1500        /* an agent that is away for longer than a blink is worth a line */
#define RETRY_MS 250
#define START_MS 10000 /* from the release to the start, other plugins and I/O logs of sudo included */
#define FRESH_MS 2000 /* a verdict that is read later than this after it was asked for is stale */
#define LAST_WORD_MS 200
#define PROMPT_SECONDS 300 /* as long as sudo itself waits for a password */
#define REPORT_MS 500
#define TOKEN_MAX 49152
#define REASON_MAX 400

/* Parts of a conversation; the agent's list is agent/src/gate/plugin-parts.ts. */
#define PART_SETTINGS 's'
#define PART_USER_INFO 'u'
#define PART_COMMAND_INFO 'c'
#define PART_ARGV 'a'
#define PART_ENVIRONMENT 'e'
#define PART_TOKEN 'k'
#define PART_REASON 'r'

static const char *const cancel_reason[] = {
    [CANCEL_INTERRUPT] = "interrupt",
    [CANCEL_HANGUP] = "hangup",
    [CANCEL_PARENT] = "parent",
    [CANCEL_SIGNAL] = "signal",
    [CANCEL_NOPROMPT] = "noprompt",
};

/* A request, and by what another agent, or another conversation, knows it again. */
struct request {
    uint8_t token[TOKEN_MAX];
    size_t token_len;
    bool known;    /* a token has arrived whole */
    bool overflow; /* it does not fit: then it cannot go on elsewhere */
};

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

/* sudo is one thread, and one process one run of it. */
static struct {
    sudo_conv_t conversation;
    unsigned int api; /* version of the plugin interface of this sudo */
    char *const *settings;
    char *const *user_info;
    bool root; /* who runs sudo is root already, and there is nothing to approve */
    struct command command;
    struct command inner; /* the last one that the first has started (intercept) */
    char refused[REASON_MAX + 1]; /* why sudo did not start what was released */
    struct hook_hello hello;
    struct hook_reader reader;
} self;

static struct {
    const char *socket_dir;
    const char *direct_program;
    const char *client_conf;
    uid_t agent_uid;
    int start_ms;
    int back_ms;
    int silence_ms;
    int start_within_ms;
} setting = {IDENTREE_SOCKET_DIR, IDENTREE_DIRECT_PROGRAM, IDENTREE_CLIENT_CONF, 0, AGENT_START_MS, AGENT_BACK_MS, SILENCE_MS, START_MS};

#ifdef IDENTREE_TEST
/* Never part of a release: an attacker who sets these decides who may become root. */
static void apply_test_hooks(void)
{
    const char *value;

    setting.agent_uid = geteuid();
    if ((value = getenv("IDENTREE_TEST_SOCKET_DIR")) != NULL)
        setting.socket_dir = value;
    if ((value = getenv("IDENTREE_TEST_DIRECT")) != NULL)
        setting.direct_program = value;
    if ((value = getenv("IDENTREE_TEST_CLIENT_CONF")) != NULL)
        setting.client_conf = value;
    if ((value = getenv("IDENTREE_TEST_START_MS")) != NULL)
        setting.start_ms = atoi(value);
    if ((value = getenv("IDENTREE_TEST_BACK_MS")) != NULL)
        setting.back_ms = atoi(value);
    if ((value = getenv("IDENTREE_TEST_SILENCE_MS")) != NULL)
        setting.silence_ms = atoi(value);
    if ((value = getenv("IDENTREE_TEST_START_WITHIN_MS")) != NULL)
        setting.start_within_ms = atoi(value);
}
#endif

/* The value of NAME=value in a list of sudo's; NULL when it is not there. */
static const char *value_of(char *const list[], const char *name)
{
    size_t len = strlen(name);

    for (; list != NULL && *list != NULL; list++)
        if (strncmp(*list, name, len) == 0 && (*list)[len] == '=')
            return *list + len + 1;
    return NULL;
}

static bool is_true(char *const list[], const char *name)
{
    const char *value = value_of(list, name);

    return value != NULL && strcmp(value, "true") == 0;
}

/*
 * To the terminal where there is one, else to stderr, at once; never to stdout, which belongs
 * to the command. A conversation that fails has nobody to tell.
 */
static void say(const char *line)
{
    const struct sudo_conv_message message = {
        .msg_type = SUDO_CONV_ERROR_MSG | SUDO_CONV_PREFER_TTY,
        .msg = line,
    };

    if (self.conversation != NULL)
        (void)self.conversation(1, &message, NULL, NULL);
}

/* The last line of a refusal that no agent explains: why, and whom to call. */
static void say_refused(const char *why)
{
    static char contact[CONTACT_SIZE];
    static char line[CONTACT_SIZE + 256];

    contact_read(setting.client_conf, setting.agent_uid, contact);
    if (contact_line(line, sizeof line, why, contact))
        say(line);
}

/* The hello of this process. False when it cannot say who it is: then nothing may be asked. */
static bool begin_hello(const char *mode)
{
    unsigned long long start;
    char api[24];

    if (!own_start_time(&start))
        return false;
    (void)snprintf(api, sizeof api, "%u.%u", SUDO_API_MAJOR(self.api), SUDO_API_MINOR(self.api));
    hook_hello_begin(&self.hello);
    hook_hello_number(&self.hello, "v", 1);
    hook_hello_text(&self.hello, "mode", mode, 16);
    hook_hello_text(&self.hello, "build", IDENTREE_BUILD_ID, 64);
    hook_hello_text(&self.hello, "api", api, 16);
    hook_hello_number(&self.hello, "pid", (unsigned long long)getpid());
    hook_hello_number(&self.hello, "pstart", start);
    return true;
}

static bool send_hello(int fd, int timeout_ms)
{
    return hook_hello_end(&self.hello) &&
           hook_send(fd, self.hello.bytes, self.hello.len, timeout_ms);
}

static int connect_agent(void)
{
    return hook_connect(setting.socket_dir, IDENTREE_SOCKET_NAME, setting.agent_uid);
}

/* Reads one frame by deadline. False at its end, or when nothing came. */
static bool next_event(int fd, int64_t deadline, enum hook_event *event)
{
    struct pollfd on = {.fd = fd, .events = POLLIN};

    *event = HOOK_BROKEN;
    for (;;) {
        int64_t left = deadline - hook_now_ms();
        ssize_t n = recv(fd, self.reader.buf + self.reader.len, hook_reader_want(&self.reader),
                         MSG_DONTWAIT);

        if (n > 0 && hook_reader_push(&self.reader, (size_t)n, event))
            return true;
        if (n > 0)
            continue;
        if (n == 0 || (errno != EAGAIN && errno != EINTR) || left <= 0)
            return false;
        if (poll(&on, 1, (int)left) < 0 && errno != EINTR)
            return false;
    }
}

/*
 * Tells the agent that this sudo asks by itself. Without an answer it is not registered, and
 * then the PAM stage asks too: once too often is better than never.
 */
static void register_sudo(void)
{
    int64_t deadline = hook_now_ms() + REGISTER_MS;
    enum hook_event event;
    int fd;

    if (!begin_hello("sudo-open"))
        return;
    fd = connect_agent();
    if (fd < 0)
        return;
    hook_reader_init(&self.reader, false);
    if (send_hello(fd, REGISTER_MS))
        while (next_event(fd, deadline, &event) && (event == HOOK_ALIVE || event == HOOK_TEXT))
            continue;
    (void)close(fd);
}

static struct ending ended(enum outcome outcome)
{
    return (struct ending){.outcome = outcome, .cancel = CANCEL_NOTHING};
}

static struct ending cancelled(enum cancel by)
{
    return (struct ending){.outcome = CANCELLED, .cancel = by};
}

/* A command that sudo would execute, as sudo told it. */
struct question {
    char *const *command_info;
    char *const *argv;
    char *const *environment;
    bool intercepted;
    struct request *request;
    const struct plugin_wait *wait;
    bool told; /* the person has been told to wait */
};

static bool send_question(int fd, const struct question *q)
{
    const struct request *request = q->request;

    if (!begin_hello("sudo-check"))
        return false;
    hook_hello_number(&self.hello, "fg", plugin_wait_foreground(q->wait) ? 1 : 0);
    hook_hello_number(&self.hello, "intercepted", q->intercepted ? 1 : 0);
    return send_hello(fd, ACCEPT_MS) &&
           hook_send_strings(fd, PART_SETTINGS, self.settings, ACCEPT_MS) &&
           hook_send_strings(fd, PART_USER_INFO, self.user_info, ACCEPT_MS) &&
           hook_send_strings(fd, PART_COMMAND_INFO, q->command_info, ACCEPT_MS) &&
           hook_send_strings(fd, PART_ARGV, q->argv, ACCEPT_MS) &&
           hook_send_strings(fd, PART_ENVIRONMENT, q->environment, ACCEPT_MS) &&
           (!request->known ||
            hook_send_part(fd, PART_TOKEN, request->token, request->token_len, ACCEPT_MS)) &&
           hook_send_mark(fd, 'E', ACCEPT_MS);
}

/* A token comes in pieces; one that is empty ends it. */
static void keep(struct request *request, const uint8_t *piece, size_t len)
{
    if (request->known) {
        request->known = request->overflow = false;
        request->token_len = 0;
    }
    if (len == 0) {
        request->known = !request->overflow && request->token_len > 0;
        return;
    }
    if (len > sizeof request->token - request->token_len) {
        request->overflow = true;
        return;
    }
    memcpy(request->token + request->token_len, piece, len);
    request->token_len += len;
}

static void say_text(const uint8_t *text, size_t len)
{
    static char line[HOOK_MAX_PAYLOAD + 2];
    size_t n = hook_clean_text((uint8_t *)line, text, len);

    line[n] = '\n';
    line[n + 1] = '\0';
    say(line);
}

/* Has sudo ask for a line, and hands it to the agent. */
static enum cancel ask_for_line(int fd, const struct question *q)
{
    static char text[HOOK_MAX_PROMPT + 1];
    struct sudo_conv_reply reply = {NULL};
    const struct sudo_conv_message message = {
        .msg_type = self.reader.echo ? SUDO_CONV_PROMPT_ECHO_ON : SUDO_CONV_PROMPT_ECHO_OFF,
        .timeout = PROMPT_SECONDS,
        .msg = text,
    };
    size_t len;
    int asked;

    /* `sudo -n` asks for nothing; and the terminal of a command that runs already is that command's. */
    if (self.conversation == NULL || q->intercepted || is_true(self.settings, "noninteractive"))
        return CANCEL_NOPROMPT;
    text[hook_clean_text((uint8_t *)text, self.reader.text, self.reader.text_len)] = '\0';
    plugin_wait_pause(q->wait);
    asked = self.conversation(1, &message, &reply, NULL);
    plugin_wait_go_on(q->wait);
    if (asked != 0 || reply.reply == NULL)
        return q->wait->tty >= 0 ? CANCEL_INTERRUPT : CANCEL_NOPROMPT;
    len = strlen(reply.reply);
    (void)hook_send_typed(fd, reply.reply, len, LAST_WORD_MS); /* an agent that has gone is noticed soon */
    explicit_bzero(reply.reply, len);
    free(reply.reply);
    if (len <= HOOK_MAX_TYPED)
        return CANCEL_NOTHING;
    say("identree: that is too long.\n");
    return CANCEL_INTERRUPT;
}

static struct ending withdraw(int fd, enum cancel by)
{
    (void)hook_send_cancel(fd, cancel_reason[by], LAST_WORD_MS);
    return cancelled(by);
}

/*
 * One conversation with an agent, from the question to the outcome. NO_AGENT: it has gone
 * without a verdict, and another may take over.
 */
static struct ending converse(int fd, struct question *q, int accept_ms)
{
    int64_t heard = hook_now_ms();
    int64_t asked_for = 0; /* when a verdict was asked for; 0: not yet */

    hook_reader_init(&self.reader, true);
    if (!send_question(fd, q))
        return ended(NO_AGENT);
    for (;;) {
        int64_t limit = self.reader.accepted ? setting.silence_ms : accept_ms;
        int64_t left = heard + limit - hook_now_ms();
        enum hook_event event;
        enum cancel cancel;
        bool readable;
        ssize_t n;

        cancel = plugin_wait_for(q->wait, fd, left > 0 ? (int)left : 0, &readable);
        if (cancel != CANCEL_NOTHING)
            return withdraw(fd, cancel);
        n = recv(fd, self.reader.buf + self.reader.len, hook_reader_want(&self.reader),
                 MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return ended(NO_AGENT);
        if (n < 0 || !hook_reader_push(&self.reader, (size_t)n, &event)) {
            /* A frame that never ends is silence, however many bytes dribble in. */
            if (hook_now_ms() - heard >= limit)
                return ended(self.reader.accepted ? SILENT : NO_AGENT);
            continue;
        }
        switch (event) {
        case HOOK_ALIVE:
            break;
        case HOOK_TEXT:
            say_text(self.reader.text, self.reader.text_len);
            q->told = q->told || asked_for == 0;
            break;
        case HOOK_PROMPT:
            cancel = ask_for_line(fd, q);
            if (cancel != CANCEL_NOTHING)
                return withdraw(fd, cancel);
            break;
        case HOOK_KEEP:
            keep(q->request, self.reader.text, self.reader.text_len);
            break;
        case HOOK_READY:
            if (asked_for != 0 || !hook_send_mark(fd, 'R', LAST_WORD_MS))
                return ended(BROKEN);
            asked_for = hook_now_ms();
            break;
        case HOOK_GRANTED:
            /* The agent looks for the last time when it is asked for the verdict. Whoever was
             * stopped in between comes too late, and what was looked at may be another by now. */
            if (asked_for == 0)
                return ended(BROKEN);
            return ended(hook_now_ms() - asked_for < FRESH_MS ? GRANTED : SILENT);
        case HOOK_REFUSED:
            return ended(REFUSED);
        case HOOK_BROKEN:
            return ended(BROKEN);
        }
        heard = hook_now_ms();
    }
}

/* Real ids, groups, folder and umask of sudo are those of the person who typed it. */
static void leave_the_caller(void)
{
    if (geteuid() == 0 && (setgroups(0, NULL) != 0 || setresgid(0, 0, 0) != 0 || setresuid(0, 0, 0) != 0))
        _exit(127);
    if (chdir("/") != 0)
        _exit(127);
    (void)umask(077);
}

/*
 * Without an agent on this host the question goes to one of its own, as the PAM stage's does. It
 * is the same program with the same keys: it asks the server, and where that is dead too, for the
 * password that opens this host.
 */
static struct ending ask_direct(struct question *q)
{
    char *const argv[] = {(char *)setting.direct_program, (char *)"gate", (char *)"--direct", NULL};
    char *const env[] = {(char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin", NULL};
    const struct child_program gate = {
        .path = setting.direct_program,
        .argv = argv,
        .env = env,
        .socket_type = SOCK_STREAM,
        .own_session = true, /* what is typed at the terminal is sudo's to read */
        .dies_with_parent = true,
        .first = leave_the_caller,
    };
    /* Else its end would be news to a handler of sudo's, which knows no such child. */
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    struct ending ending = ended(NO_AGENT);
    struct sigaction was;
    struct child child;

    if (sigaction(SIGCHLD, &by_default, &was) != 0)
        return ending;
    if (child_start(&child, &gate)) {
        ending = converse(child.fd, q, DIRECT_ACCEPT_MS);
        (void)child_end(&child, DIRECT_ENDS_MS);
    }
    (void)sigaction(SIGCHLD, &was, NULL);
    return ending;
}

/* Asks, and asks again after an agent that went away: the token makes it the same request. */
static struct ending ask(struct question *q)
{
    int64_t without_agent = hook_now_ms();
    bool told = false;

    for (;;) {
        int fd = connect_agent();
        enum cancel cancel;
        int64_t waited;
        bool readable;

        if (fd == HOOK_UNTRUSTED) {
            say_refused("identree: the agent's socket is not in a folder that only root can use. Run "
                        "`identree doctor` as root to see why.");
            return ended(REFUSED);
        }
        if (fd >= 0) {
            struct ending ending = converse(fd, q, ACCEPT_MS);
            bool answered = self.reader.accepted;

            (void)close(fd);
            if (ending.outcome != NO_AGENT)
                return ending;
            if (answered) {
                without_agent = hook_now_ms();
                told = false;
            }
        }
        waited = hook_now_ms() - without_agent;
        if (waited >= (q->request->known ? setting.back_ms : setting.start_ms))
            return ask_direct(q);
        if (!told && waited >= TELL_MS) {
            say("identree: waiting for the agent of this host ...\n");
            told = true;
        }
        cancel = plugin_wait_for(q->wait, -1, RETRY_MS, &readable);
        if (cancel != CANCEL_NOTHING)
            return cancelled(cancel); /* the server lets go of a request whose host is silent */
    }
}

static void say_ending(struct ending ending)
{
    switch (ending.outcome) {
    case NO_AGENT:
        say_refused("identree: the agent of this host does not answer; sudo is refused. Run `identree "
                    "doctor` as root to see why.");
        break;
    case SILENT:
        say_refused("identree: the agent's answer came too late; sudo is refused.");
        break;
    case BROKEN:
        say_refused("identree: the agent's answer was incomplete or malformed; sudo is refused.");
        break;
    case CANCELLED:
        if (ending.cancel == CANCEL_INTERRUPT)
            say("  Cancelled.\n");
        if (ending.cancel == CANCEL_NOPROMPT)
            say_refused("identree: something has to be typed, and there is no terminal for it here; sudo is "
                        "refused.");
        break;
    case REFUSED:
    case GRANTED:
        break;
    }
}

/* Tells the agent what became of a request. Nobody waits for what comes of it. */
static void report(const struct command *command, const char *what, int status_type, int status,
                   const char *reason)
{
    const struct request *request = &command->request;
    int fd;

    if (!request->known || !begin_hello("sudo-report"))
        return;
    hook_hello_text(&self.hello, "event", what, 16);
    hook_hello_number(&self.hello, "status_type", (unsigned long long)status_type);
    hook_hello_number(&self.hello, "status", (unsigned long long)(unsigned int)status);
    hook_hello_number(&self.hello, "ms",
                      (unsigned long long)(hook_now_ms() - command->released_at));
    fd = connect_agent();
    if (fd < 0)
        return;
    if (send_hello(fd, REPORT_MS) &&
        (reason == NULL ||
         hook_send_part(fd, PART_REASON, (const uint8_t *)reason, strlen(reason), REPORT_MS)) &&
        hook_send_part(fd, PART_TOKEN, request->token, request->token_len, REPORT_MS))
        (void)hook_send_mark(fd, 'E', REPORT_MS);
    (void)close(fd);
}

static void remember(unsigned int version, sudo_conv_t conversation, char *const settings[], char *const user_info[])
{
    const char *uid = value_of(user_info, "uid");

    self.api = version;
    self.conversation = conversation;
    self.settings = settings;
    self.user_info = user_info;
    self.root = uid != NULL && strcmp(uid, "0") == 0;
}

static int audit_open(unsigned int version, sudo_conv_t conversation, sudo_printf_t print,
                      char *const settings[], char *const user_info[], int submit_optind,
                      char *const submit_argv[], char *const submit_envp[],
                      char *const options[], const char **errstr)
{
    (void)print, (void)submit_optind, (void)submit_argv, (void)submit_envp;
    (void)options, (void)errstr;
#ifdef IDENTREE_TEST
    apply_test_hooks();
#endif
    remember(version, conversation, settings, user_info);
    if (!self.root)
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
#ifdef IDENTREE_TEST
    apply_test_hooks();
#endif
    remember(version, conversation, settings, user_info);
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
    if (!self.root) {
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
    if (!self.root && hook_now_ms() - command->released_at >= setting.start_within_ms) {
        *errstr = "it was approved too long ago";
        (void)note_refusal(*errstr);
        return 0;
    }
    command->stage = STARTED;
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
        /* Only an error of execve says that nothing ran; after an error of sudo itself it may have. */
        const bool refused = status_type == SUDO_PLUGIN_EXEC_ERROR;

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
    if (self.conversation != NULL)
        (void)self.conversation(1, &message, NULL, NULL);
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
