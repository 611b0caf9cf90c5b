#define _GNU_SOURCE
#include "plugin-ask.h"
#include "child.h"
#include "places.h"
#include "plugin-session.h"

#include <errno.h>
#include <grp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define ACCEPT_MS 3000 /* from the question to the agent's first word */
#define DIRECT_ENDS_MS 200
#define TELL_MS 1500 /* an agent that is away for longer than a blink is worth a line */
#define RETRY_MS 250
#define FRESH_MS 2000 /* a verdict that is read later than this after it was asked for is stale */
#define LAST_WORD_MS 200
#define PROMPT_SECONDS 300 /* as long as sudo itself waits for a password */

static const char *const cancel_reason[] = {
    [CANCEL_INTERRUPT] = "interrupt",
    [CANCEL_HANGUP] = "hangup",
    [CANCEL_PARENT] = "parent",
    [CANCEL_SIGNAL] = "signal",
    [CANCEL_NOPROMPT] = "noprompt",
};

static struct hook_hello hello;
static struct hook_reader reader;

static struct ending ended(enum outcome outcome)
{
    return (struct ending){.outcome = outcome, .cancel = CANCEL_NOTHING};
}

static struct ending cancelled(enum cancel by)
{
    return (struct ending){.outcome = CANCELLED, .cancel = by};
}

static bool send_question(int fd, const struct question *q)
{
    const struct request *request = q->request;

    if (!begin_hello(&hello, "sudo-check"))
        return false;
    hook_hello_number(&hello, "fg", plugin_wait_foreground(q->wait) ? 1 : 0);
    hook_hello_number(&hello, "intercepted", q->intercepted ? 1 : 0);
    return send_hello(fd, &hello, ACCEPT_MS) &&
           hook_send_strings(fd, PART_SETTINGS, session.settings, ACCEPT_MS) &&
           hook_send_strings(fd, PART_USER_INFO, session.user_info, ACCEPT_MS) &&
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

/* Has sudo ask for a line, and hands it to the agent. */
static enum cancel ask_for_line(int fd, const struct question *q)
{
    static char text[HOOK_MAX_PROMPT + 1];
    struct sudo_conv_reply reply = {NULL};
    const struct sudo_conv_message message = {
        .msg_type = reader.echo ? SUDO_CONV_PROMPT_ECHO_ON : SUDO_CONV_PROMPT_ECHO_OFF,
        .timeout = PROMPT_SECONDS,
        .msg = text,
    };
    size_t len;
    int asked;

    /* `sudo -n` asks for nothing; and the terminal of a command that runs already is that command's. */
    if (session.conversation == NULL || q->intercepted || is_true(session.settings, "noninteractive"))
        return CANCEL_NOPROMPT;
    text[hook_clean_text((uint8_t *)text, reader.text, reader.text_len)] = '\0';
    plugin_wait_pause(q->wait);
    asked = session.conversation(1, &message, &reply, NULL);
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

    hook_reader_init(&reader, true);
    if (!send_question(fd, q))
        return ended(NO_AGENT);
    for (;;) {
        int64_t limit = reader.accepted ? setting.silence_ms : accept_ms;
        int64_t left = heard + limit - hook_now_ms();
        enum hook_event event;
        enum cancel cancel;
        bool readable;
        ssize_t n;

        cancel = plugin_wait_for(q->wait, fd, left > 0 ? (int)left : 0, &readable);
        if (cancel != CANCEL_NOTHING)
            return withdraw(fd, cancel);
        n = recv(fd, reader.buf + reader.len, hook_reader_want(&reader),
                 MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return ended(NO_AGENT);
        if (n < 0 || !hook_reader_push(&reader, (size_t)n, &event)) {
            /* A frame that never ends is silence, however many bytes dribble in. */
            if (hook_now_ms() - heard >= limit)
                return ended(reader.accepted ? SILENT : NO_AGENT);
            continue;
        }
        switch (event) {
        case HOOK_ALIVE:
            break;
        case HOOK_TEXT:
            say_text(reader.text, reader.text_len);
            q->told = q->told || asked_for == 0;
            break;
        case HOOK_PROMPT:
            cancel = ask_for_line(fd, q);
            if (cancel != CANCEL_NOTHING)
                return withdraw(fd, cancel);
            break;
        case HOOK_KEEP:
            keep(q->request, reader.text, reader.text_len);
            break;
        case HOOK_READY:
            if (asked_for != 0)
                return ended(BROKEN);
            if (!hook_send_mark(fd, 'R', LAST_WORD_MS))
                return ended(NO_AGENT); /* it went between its question and this answer */
            asked_for = hook_now_ms();
            q->ready = true;
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

struct ending ask(struct question *q)
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
            bool answered = reader.accepted;

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
