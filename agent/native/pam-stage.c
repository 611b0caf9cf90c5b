/*
 * identree-pam: the PAM stage. The PAM module starts it as root for sudo and sshd, or pam_exec
 * does; it cleans up, tells the resident agent who asks, relays text to the person and the verdict to PAM.
 * README.md describes the protocol, the states and every way this program ends.
 *
 * Exit status: 0 only after a complete verdict frame with the payload "0"; 2 for a wrong
 * command line; 1 for everything else.
 */
#define _GNU_SOURCE
#include "clean-start.h"
#include "contact.h"
#include "direct-gate.h"
#include "hook-client.h"
#include "outcome.h"
#include "parent.h"
#include "places.h"
#include "relay.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

#define RESIDENT_ACCEPT_MS 3000
#define DYING_MS 100           /* between its last open file and its end */
#define LOOK_AGAIN_MS 200      /* fg, bg and a parent without pidfd are noticed this fast */
#define STALLED_OUTPUT_MS 5000
#define LAST_WORD_MS 200
#define AFTER_VERDICT_MS 50
#define TYPED_LINE_MS 2000
#define TYPED_LINE_MAX 512
#define MAX_WRITE 4096 /* PIPE_BUF: after POLLOUT, a write of this size cannot block */

/* pam_exec shows what is printed and brings nothing back, so a login takes two stages with it. */
enum mode { MODE_SUDO, MODE_SSH, MODE_SSH_BEGIN, MODE_SSH_WAIT };

static const char *const cancel_reason[] = {
    [CANCEL_INTERRUPT] = "interrupt",
    [CANCEL_HANGUP] = "hangup",
    [CANCEL_PARENT] = "parent",
    [CANCEL_SIGNAL] = "signal",
    [CANCEL_NOPROMPT] = "noprompt",
};

static const char *const mode_name[] = {
    [MODE_SUDO] = "sudo",
    [MODE_SSH] = "ssh",
    [MODE_SSH_BEGIN] = "ssh-begin",
    [MODE_SSH_WAIT] = "ssh-wait",
};

static struct {
    const char *socket_dir;
    const char *direct_program;
    const char *client_conf;
    uid_t agent_uid;
    int accept_ms;
    int direct_accept_ms;
    int silence_ms;
    bool own_output;
} setting = {
    IDENTREE_SOCKET_DIR, IDENTREE_DIRECT_PROGRAM, IDENTREE_CLIENT_CONF, 0,
    RESIDENT_ACCEPT_MS,  DIRECT_ACCEPT_MS,        SILENCE_MS,           false,
};

static struct handed_over handed;
static struct parent parent;
static struct hook_hello hello;
static struct hook_reader reader;
static int signals = -1;
static enum mode mode;
/* The PAM module that has started this stage; -1: pam_exec has. */
static int relay = -1;
/* As what the module shows text: sudo prints errors on its standard error where there is no terminal. */
static char relay_style = 'T';
static bool prompting; /* the module has a line typed */
/* Where the person reads: a descriptor, or -1 when there is none that may be written to. */
static int text_fd = STDOUT_FILENO;

/* Text on its way to the person. The agent is not read while something is pending here,
 * so a verdict can never overtake the text before it. */
static struct {
    uint8_t bytes[HOOK_MAX_PAYLOAD + 1];
    size_t len;
    size_t sent;
    int64_t since;
} output;

#ifdef IDENTREE_TEST
#include "test-hooks.h"

static void apply_test_hooks(void)
{
    setting.agent_uid = geteuid();
    test_path(&setting.socket_dir, "IDENTREE_TEST_SOCKET_DIR");
    test_path(&setting.direct_program, "IDENTREE_TEST_DIRECT");
    test_path(&setting.client_conf, "IDENTREE_TEST_CLIENT_CONF");
    test_ms(&setting.accept_ms, "IDENTREE_TEST_ACCEPT_MS");
    test_ms(&setting.direct_accept_ms, "IDENTREE_TEST_ACCEPT_MS");
    test_ms(&setting.silence_ms, "IDENTREE_TEST_SILENCE_MS");
    setting.own_output = getenv("IDENTREE_TEST_OWN_OUTPUT") != NULL;
}
#endif

/* sudo's own standard error. What pam_exec reads from us, sudo prints on a terminal, but
 * without one among the command's output, and only when that has ended. The very descriptor
 * is taken over: opening it by its name in /proc would write as root to a file that the
 * person has opened for reading only. */
static int standard_error_of_parent(void)
{
    int fd = -1;

#ifdef SYS_pidfd_getfd
    if (parent.pid_fd >= 0)
        fd = (int)syscall(SYS_pidfd_getfd, parent.pid_fd, STDERR_FILENO, 0U);
#endif
    if (fd >= 0 && (fcntl(fd, F_GETFL) & O_ACCMODE) == O_RDONLY) {
        (void)close(fd);
        fd = -1;
    }
    return fd;
}

static bool module_shows_text(void)
{
    return relay >= 0 && text_fd == relay;
}

/* One line of our own, if it can be said at once: nothing waits for a reader here. */
static void say(const char *line)
{
    struct pollfd p = {.fd = text_fd, .events = POLLOUT};

    if (module_shows_text()) {
        (void)relay_send(relay, relay_style, (const uint8_t *)line, strcspn(line, "\n"));
        return;
    }
    if (poll(&p, 1, LAST_WORD_MS) == 1 && (p.revents & POLLOUT) != 0 &&
        write(text_fd, line, strlen(line)) < 0)
        return; /* nobody left to tell */
}

static void say_refused(const char *why, const char *what_next)
{
    static char contact[CONTACT_SIZE];
    static char line[CONTACT_SIZE + 256];
    char sentence[256];
    int n = snprintf(sentence, sizeof sentence, "identree: %s; %s is refused.%s", why,
                     mode == MODE_SUDO ? "sudo" : "the login", what_next);

    contact_read(setting.client_conf, setting.agent_uid, contact);
    if (n > 0 && (size_t)n < sizeof sentence && contact_line(line, sizeof line, sentence, contact))
        say(line);
}

static void on_crash(int sig)
{
    terminal_emergency();
    (void)raise(sig); /* SA_RESETHAND: dies of it now, and the log says so */
}

static bool prepare_signals(void)
{
    static const int crashes[] = {SIGABRT, SIGSYS, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    static const int ignored[] = {SIGPIPE, SIGTSTP, SIGTTIN, SIGTTOU, SIGCHLD, SIGCONT,
                                  SIGWINCH, SIGURG};
    static uint8_t crash_stack[32768];
    const stack_t stack = {.ss_sp = crash_stack, .ss_size = sizeof crash_stack};
    struct sigaction crash = {.sa_handler = on_crash,
                              .sa_flags = (int)(SA_ONSTACK | SA_RESETHAND | SA_NODEFER)};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigset_t set;
    size_t crash_count = sizeof crashes / sizeof *crashes;

#ifdef IDENTREE_SANITIZED
    crash_count = 2; /* the rest belongs to the sanitizer, which reports them */
#endif
    if (sigfillset(&set) != 0)
        return false;
    if (crash_count > 2 && sigaltstack(&stack, NULL) != 0)
        return false;
    for (size_t i = 0; i < sizeof crashes / sizeof *crashes; i++)
        if (sigdelset(&set, crashes[i]) != 0 ||
            (i < crash_count && sigaction(crashes[i], &crash, NULL) != 0))
            return false;
    for (size_t i = 0; i < sizeof ignored / sizeof *ignored; i++) {
        if (sigdelset(&set, ignored[i]) != 0)
            return false;
        /* SIGCHLD keeps its default, or the direct gate could not be waited for. */
        if (ignored[i] != SIGCHLD && sigaction(ignored[i], &ignore, NULL) != 0)
            return false;
    }
    if (sigprocmask(SIG_SETMASK, &set, NULL) != 0)
        return false;
    signals = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
    return signals >= 0;
}

/* expose_authtok hands over what was typed at the prompt, maybe a password. It is drained
 * so that pam_exec does not block, and goes nowhere. */
static void forget_typed_line(void)
{
    char typed[TYPED_LINE_MAX];
    size_t len = 0;
    int64_t deadline = hook_now_ms() + TYPED_LINE_MS;

    while (len < sizeof typed) {
        struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
        int64_t left = deadline - hook_now_ms();
        ssize_t n;

        if (left <= 0 || poll(&p, 1, (int)left) != 1)
            break;
        n = read(STDIN_FILENO, typed + len, sizeof typed - len);
        if (n <= 0 || memchr(typed + len, '\0', (size_t)n) != NULL)
            break;
        len += (size_t)n;
    }
    explicit_bzero(typed, sizeof typed);
}

static bool uid_of(enum pam_name name, uid_t *uid)
{
    static char buffer[65536];
    const char *user = handed.value[name];
    struct passwd entry, *found = NULL;

    if (user == NULL || strnlen(user, handed_over_limit(name) + 1) > handed_over_limit(name) ||
        getpwnam_r(user, &entry, buffer, sizeof buffer, &found) != 0 || found == NULL)
        return false;
    *uid = found->pw_uid;
    return true;
}

/* An account that cannot be found gets no uid, and the agent refuses it by itself. */
static void add_uid(const char *key, enum pam_name name)
{
    uid_t uid;

    if (uid_of(name, &uid))
        hook_hello_number(&hello, key, uid);
}

static void add_text(const char *key, enum pam_name name)
{
    hook_hello_text(&hello, key, handed.value[name], handed_over_limit(name));
}

static bool foreground(void)
{
    return terminal_fd() >= 0 && parent_foreground(&parent, terminal_node()->st_rdev);
}

/*
 * Whether the terminal is of whoever asks, and not one of somebody else that has the same number: whoever makes a
 * namespace of users has terminals of an instance of their own in it (devpts), and sudo finds a terminal by its number.
 * After `su` it is another account's, and sudo has it as a descriptor.
 */
static bool terminal_is_callers(void)
{
    uid_t asks;

    return (uid_of(PAM_ENV_RUSER, &asks) && terminal_node()->st_uid == asks) ||
           parent_has_open(&parent, terminal_node());
}

static bool build_hello(void)
{
    unsigned cols, rows;

    hook_hello_begin(&hello);
    hook_hello_number(&hello, "v", 1);
    hook_hello_text(&hello, "mode", mode_name[mode], 16);
    add_text("service", PAM_ENV_SERVICE);
    add_text("user", PAM_ENV_USER);
    add_text("ruser", PAM_ENV_RUSER);
    add_text("tty", PAM_ENV_TTY);
    add_text("rhost", PAM_ENV_RHOST);
    hook_hello_number(&hello, "ppid", (unsigned long long)parent.pid);
    hook_hello_number(&hello, "pstart", parent.start);
    add_uid("uid", PAM_ENV_USER);
    if (mode == MODE_SUDO)
        add_uid("ruid", PAM_ENV_RUSER);
    if (terminal_size(&cols, &rows)) {
        hook_hello_number(&hello, "cols", cols);
        hook_hello_number(&hello, "rows", rows);
    }
    hook_hello_number(&hello, "fg", foreground() ? 1 : 0);
    if (mode != MODE_SUDO) {
        add_text("ssh_connection", SSH_ENV_CONNECTION);
        add_text("ssh_auth_info", SSH_ENV_AUTH_INFO);
    }
    return hook_hello_end(&hello);
}

static void queue_text(const uint8_t *text, size_t len)
{
    if (text_fd < 0)
        return;
    output.len = hook_clean_text(output.bytes, text, len);
    output.bytes[output.len++] = '\n';
    output.sent = 0;
    output.since = hook_now_ms();
}

static bool output_pending(void)
{
    return output.sent < output.len;
}

static bool write_output(void)
{
    size_t n = output.len - output.sent;
    ssize_t written;

    if (module_shows_text()) {
        if (!relay_send(relay, relay_style, output.bytes, output.len - 1))
            return errno == EAGAIN;
        output.sent = output.len;
        return true;
    }
    written = write(text_fd, output.bytes + output.sent, n < MAX_WRITE ? n : MAX_WRITE);

    if (written < 0)
        return errno == EINTR || errno == EAGAIN;
    output.sent += (size_t)written;
    output.since = hook_now_ms();
    return true;
}

enum { ON_AGENT, ON_SIGNAL, ON_PARENT, ON_TTY, ON_TEXT, ON_MODULE, ON_COUNT };

/* Nobody takes our output any more. A process that dies closes its files before it is dead. */
static enum cancel output_gone(void)
{
    struct pollfd dying = {.fd = parent.pid_fd, .events = POLLIN};

    (void)poll(&dying, 1, DYING_MS);
    return parent_alive(&parent) ? CANCEL_HANGUP : CANCEL_PARENT;
}

/* Looks at everything that ends the wait from our side. */
static enum cancel look_for_cancel(const struct pollfd on[ON_COUNT])
{
    struct signalfd_siginfo info;

    if (read(signals, &info, sizeof info) > 0)
        return CANCEL_SIGNAL;
    if (!parent_alive(&parent))
        return CANCEL_PARENT;
    if ((on[ON_TTY].revents & (POLLHUP | POLLERR | POLLNVAL)) != 0)
        return CANCEL_HANGUP;
    if ((on[ON_TTY].revents & POLLIN) != 0) {
        bool fg = foreground(); /* asked again: these keys may be the shell's by now */

        if (!terminal_follow(fg))
            return CANCEL_HANGUP;
        switch (fg ? terminal_read() : KEY_NOTHING) {
        case KEY_CANCEL:
            return CANCEL_INTERRUPT;
        case KEY_HANGUP:
            return CANCEL_HANGUP;
        case KEY_NOTHING:
            break;
        }
    }
    if ((on[ON_TEXT].revents & (POLLERR | POLLHUP | POLLNVAL)) != 0)
        return output_gone();
    if ((on[ON_TEXT].revents & POLLOUT) != 0 && output_pending() && !write_output())
        return output_gone();
    if (output_pending() && hook_now_ms() - output.since >= STALLED_OUTPUT_MS)
        return CANCEL_HANGUP;
    return CANCEL_NOTHING;
}

/* sudo or sshd reads a line for us: until it is there, the terminal is not ours. */
static bool have_line_typed(void)
{
    uint8_t text[HOOK_MAX_PROMPT];
    size_t len = hook_clean_text(text, reader.text, reader.text_len);

    terminal_lend(foreground());
    prompting = relay_send_prompt(relay, reader.echo, text, len);
    return prompting;
}

/* What the module says. Its end is that of the program which waits for us. */
static enum cancel hear_module(int agent)
{
    static uint8_t packet[RELAY_MAX + 1];
    enum cancel cancel = CANCEL_HANGUP;
    ssize_t n = recv(relay, packet, sizeof packet, MSG_DONTWAIT);
    struct relay_message message;

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return CANCEL_NOTHING;
    if (n <= 0)
        return output_gone();
    message = relay_parse(packet, (size_t)n, false);
    if (prompting && message.event == RELAY_TYPED) {
        (void)hook_send_typed(agent, (const char *)message.bytes, message.len, LAST_WORD_MS);
        prompting = false;
        cancel = CANCEL_NOTHING;
    } else if (prompting && message.event == RELAY_NO_ANSWER) {
        if (mode == MODE_SUDO)
            cancel = terminal_fd() >= 0 ? CANCEL_INTERRUPT : CANCEL_NOPROMPT;
    }
    explicit_bzero(packet, sizeof packet);
    return cancel;
}

static struct ending ended(enum outcome outcome)
{
    return (struct ending){.outcome = outcome, .cancel = CANCEL_NOTHING};
}

static struct ending cancelled(enum cancel by)
{
    return (struct ending){.outcome = CANCELLED, .cancel = by};
}

/* One conversation with an agent on fd, from the hello to the outcome. */
static struct ending converse(int fd, int accept_ms)
{
    int64_t heard = hook_now_ms();
    bool granted = false;

    hook_reader_init(&reader, false);
    output.len = output.sent = 0;
    if (!hook_send(fd, hello.bytes, hello.len, accept_ms))
        return ended(NO_AGENT);
    for (;;) {
        bool fg = foreground();
        int64_t limit = granted            ? AFTER_VERDICT_MS
                        : reader.accepted ? setting.silence_ms
                                          : accept_ms;
        int64_t left = heard + limit - hook_now_ms();
        struct pollfd on[ON_COUNT];
        enum cancel cancel;
        enum hook_event event;
        ssize_t n;

        if (!prompting && !terminal_follow(fg))
            return cancelled(CANCEL_HANGUP);
        /* A negative descriptor is skipped; with events 0 only errors are reported. */
        on[ON_AGENT] = (struct pollfd){.fd = output_pending() ? -1 : fd, .events = POLLIN};
        on[ON_SIGNAL] = (struct pollfd){.fd = signals, .events = POLLIN};
        on[ON_PARENT] = (struct pollfd){.fd = parent.pid_fd, .events = POLLIN};
        on[ON_TTY] = (struct pollfd){.fd = terminal_fd(), .events = fg && !prompting ? POLLIN : 0};
        on[ON_MODULE] = (struct pollfd){.fd = relay, .events = POLLIN};
        on[ON_TEXT] = (struct pollfd){.fd = text_fd, .events = output_pending() ? POLLOUT : 0};
        left = left < 0 ? 0 : left > LOOK_AGAIN_MS ? LOOK_AGAIN_MS : left;
        if (poll(on, ON_COUNT, (int)left) < 0 && errno != EINTR)
            return ended(BROKEN);

        cancel = look_for_cancel(on);
        if (cancel == CANCEL_NOTHING && on[ON_MODULE].revents != 0)
            cancel = hear_module(fd);
        if (cancel != CANCEL_NOTHING)
            return cancelled(cancel);
        if (output_pending())
            continue;
        if (granted) {
            uint8_t extra;

            /* The end of the stream settles it; a byte more is not this protocol. */
            n = recv(fd, &extra, 1, MSG_DONTWAIT);
            if (n > 0)
                return ended(BROKEN);
            if (n == 0 || (errno != EAGAIN && errno != EINTR))
                return ended(GRANTED);
            if (hook_now_ms() - heard >= AFTER_VERDICT_MS)
                return ended(GRANTED);
            continue;
        }
        n = recv(fd, reader.buf + reader.len, hook_reader_want(&reader), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return ended(reader.accepted ? BROKEN : NO_AGENT);
        if (n < 0) {
            if (hook_now_ms() - heard >= limit)
                return ended(reader.accepted ? SILENT : NO_AGENT);
            continue;
        }
        if (!hook_reader_push(&reader, (size_t)n, &event)) {
            /* A frame that never ends is silence, however many bytes dribble in. */
            if (hook_now_ms() - heard >= limit)
                return ended(reader.accepted ? SILENT : NO_AGENT);
            continue;
        }
        switch (event) {
        case HOOK_ALIVE:
            break;
        case HOOK_TEXT:
            queue_text(reader.text, reader.text_len);
            break;
        case HOOK_PROMPT:
            if (relay < 0)
                return cancelled(CANCEL_NOPROMPT);
            if (prompting)
                return ended(BROKEN);
            if (!have_line_typed())
                return cancelled(output_gone());
            break;
        case HOOK_GRANTED:
            /* Nobody can end the prompt but the person, who could use this yes another day. */
            if (prompting)
                return ended(BROKEN);
            granted = true;
            break;
        case HOOK_REFUSED:
            return ended(REFUSED);
        case HOOK_READY: /* frames of the plugin, which this reader does not take */
        case HOOK_KEEP:
        case HOOK_BROKEN:
            return ended(BROKEN);
        }
        heard = hook_now_ms();
    }
}

/* In this order: the terminal is the person's again before anything may take time. */
static void after_conversation(int fd, struct ending ending)
{
    if (ending.outcome != NO_AGENT)
        terminal_release(foreground());
    if (ending.cancel == CANCEL_INTERRUPT)
        say("  Cancelled.\n");
    if (ending.cancel != CANCEL_NOTHING)
        (void)hook_send_cancel(fd, cancel_reason[ending.cancel], LAST_WORD_MS);
}

static struct ending ask_direct(void)
{
    struct child gate;
    char *env[DIRECT_ENV_SIZE];
    struct ending ending;

    direct_environment(env, &handed);
    if (!direct_gate_start(&gate, setting.direct_program, env))
        return ended(NO_AGENT);
    ending = converse(gate.fd, setting.direct_accept_ms);
    after_conversation(gate.fd, ending);
    (void)child_end(&gate, LAST_WORD_MS);
    return ending;
}

static struct ending ask(void)
{
    int fd = hook_connect(setting.socket_dir, IDENTREE_SOCKET_NAME, setting.agent_uid);
    struct ending ending = ended(NO_AGENT);

    if (fd == HOOK_UNTRUSTED) {
        say_refused("the agent's socket is not in a folder that only root can use",
                    " Run `identree doctor` as root to see why.");
        return ended(REFUSED);
    }
    if (fd >= 0) {
        ending = converse(fd, setting.accept_ms);
        after_conversation(fd, ending);
        (void)close(fd);
    }
    return ending.outcome == NO_AGENT ? ask_direct() : ending;
}

static bool is_packet_socket(int fd)
{
    int type;
    socklen_t len = sizeof type;

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_SEQPACKET;
}

static bool parse_mode(int argc, char *const argv[])
{
    if (argc == 3 && strcmp(argv[2], "relay") == 0 && is_packet_socket(STDIN_FILENO))
        relay = text_fd = STDIN_FILENO;
    else if (argc != 2)
        return false;
    for (size_t i = 0; i < sizeof mode_name / sizeof *mode_name; i++) {
        if (strcmp(argv[1], mode_name[i]) == 0) {
            mode = (enum mode)i;
            return mode == MODE_SUDO || (mode == MODE_SSH) == (relay >= 0);
        }
    }
    return false;
}

/* True when the command, or the login, may go on. */
static bool decide(void)
{
    const char *type = handed.value[PAM_ENV_TYPE];
    struct ending ending;
    bool pinned;

    /* Any other phase decides nothing here, and success would count as a yes in it. */
    if (type == NULL || strcmp(type, "auth") != 0)
        return false;
    pinned = parent_pin(&parent);
    if (mode == MODE_SUDO && !setting.own_output)
        text_fd = pinned ? standard_error_of_parent() : -1;
    if (text_fd < 0 && relay >= 0) {
        text_fd = relay;
        relay_style = 'E';
    }
    if (handed.duplicate) {
        say_refused("the PAM environment names something twice", " Check pam_env.");
        return false;
    }
    if (!pinned || !prepare_signals()) {
        say_refused("the program that asks is gone or cannot be examined", "");
        return false;
    }
    if (mode == MODE_SSH_WAIT)
        forget_typed_line();
    if (mode == MODE_SUDO) {
        enum terminal_found found = terminal_open(handed.value[PAM_ENV_TTY]);

        if (found == TERMINAL_GONE)
            return false;
        if (found == TERMINAL_OPEN && !terminal_is_callers())
            terminal_close();
        else if (found == TERMINAL_OPEN) {
            text_fd = relay >= 0 ? relay : STDOUT_FILENO; /* sudo's conversation shows it there */
            relay_style = 'T';
        }
    }
    if (!build_hello()) {
        terminal_release(foreground());
        return false;
    }
    ending = ask();
    terminal_release(foreground());
    switch (ending.outcome) {
    case NO_AGENT:
        say_refused("the agent is not running and could not be started",
                    " Run `identree doctor` as root to see why.");
        break;
    case SILENT:
        say_refused("the agent has stopped answering", "");
        break;
    case BROKEN:
        say_refused("the agent's answer was incomplete or malformed", "");
        break;
    case CANCELLED:
        if (ending.cancel == CANCEL_NOPROMPT)
            say_refused("something has to be typed, and it cannot be asked for here", "");
        break;
    case REFUSED:
    case GRANTED:
        break;
    }
    return permits(ending);
}

/* The module counts the answer and how this program ends; pam_exec only the latter. */
static bool tell_module(bool yes)
{
    if (relay < 0)
        return yes;
    return relay_send(relay, 'V', (const uint8_t *)(yes ? "0" : "1"), 1) && yes;
}

int main(int argc, char *argv[], char *envp[])
{
    take_handed_over(&handed, envp);
#ifdef IDENTREE_TEST
    apply_test_hooks();
#endif
    if (!clean_start())
        _exit(1);
    if (!parse_mode(argc, argv)) {
        say("usage: identree-pam sudo|ssh-begin|ssh-wait (started by PAM)\n");
        _exit(2);
    }
    /* _exit: nothing that was registered or buffered in this process may run or be
     * written after the verdict. */
    _exit(tell_module(decide()) ? 0 : 1);
}
