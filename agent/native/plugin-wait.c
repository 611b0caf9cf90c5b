#define _GNU_SOURCE
#include "plugin-wait.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

/* What the person and others end a wait with. SIGTSTP does not: it stops sudo, as it does at a password prompt. */
static const int watched[] = {SIGINT, SIGQUIT, SIGHUP, SIGTERM, SIGTSTP};

/* Without these two blocked, looking at the terminal from the background would stop sudo. */
static const int quiet[] = {SIGTTIN, SIGTTOU};

static bool choose_signals(sigset_t *read_here, sigset_t *blocked)
{
    if (sigemptyset(read_here) != 0 || sigemptyset(blocked) != 0)
        return false;
    for (size_t i = 0; i < sizeof watched / sizeof *watched; i++) {
        struct sigaction now;

        if (sigaction(watched[i], NULL, &now) != 0)
            return false;
        /* A blocked signal is delivered to a signalfd even where it is ignored: nohup must stay deaf. */
        if (now.sa_handler == SIG_IGN)
            continue;
        if (sigaddset(read_here, watched[i]) != 0 || sigaddset(blocked, watched[i]) != 0)
            return false;
    }
    for (size_t i = 0; i < sizeof quiet / sizeof *quiet; i++)
        if (sigaddset(blocked, quiet[i]) != 0)
            return false;
    return true;
}

bool plugin_wait_begin(struct plugin_wait *wait, bool relayed)
{
    sigset_t read_here;

    if (!choose_signals(&read_here, &wait->blocked) ||
        sigprocmask(SIG_BLOCK, &wait->blocked, &wait->mask) != 0)
        return false;
    wait->signals = signalfd(-1, &read_here, SFD_NONBLOCK | SFD_CLOEXEC);
    if (wait->signals < 0) {
        (void)sigprocmask(SIG_SETMASK, &wait->mask, NULL);
        return false;
    }
    wait->relayed = relayed;
    wait->tty = open("/dev/tty", O_RDONLY | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
    return true;
}

bool plugin_wait_foreground(const struct plugin_wait *wait)
{
    return wait->tty >= 0 && tcgetpgrp(wait->tty) == getpgrp();
}

/*
 * By the default action of the signal, as at a password prompt: where nobody could let it go on
 * (an orphaned process group: `ssh -t host sudo ...`) the kernel ignores it, while SIGSTOP would
 * leave sudo deaf to Ctrl-C.
 */
static void stop_here(void)
{
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    struct sigaction was;
    sigset_t stop, mask;

    if (sigemptyset(&stop) != 0 || sigaddset(&stop, SIGTSTP) != 0 ||
        sigaction(SIGTSTP, &by_default, &was) != 0)
        return;
    (void)kill(getpid(), SIGTSTP);
    if (sigprocmask(SIG_UNBLOCK, &stop, &mask) == 0)
        (void)sigprocmask(SIG_SETMASK, &mask, NULL);
    (void)sigaction(SIGTSTP, &was, NULL);
}

static enum cancel read_signal(const struct plugin_wait *wait)
{
    struct signalfd_siginfo info;

    if (read(wait->signals, &info, sizeof info) != (ssize_t)sizeof info)
        return CANCEL_NOTHING;
    switch (info.ssi_signo) {
    case SIGTSTP:
        /* The shell gets its prompt; with fg or bg the wait goes on here. */
        stop_here();
        return CANCEL_NOTHING;
    case SIGINT:
    case SIGQUIT:
        return CANCEL_INTERRUPT;
    case SIGHUP:
        return CANCEL_HANGUP;
    default:
        return CANCEL_SIGNAL;
    }
}

/* A raw terminal makes no signals of keys, and sudo reads none of them while it waits here. */
static bool reads_keys(const struct plugin_wait *wait, struct termios *modes)
{
    return wait->relayed && plugin_wait_foreground(wait) && tcgetattr(wait->tty, modes) == 0 &&
           (modes->c_lflag & (ICANON | ISIG)) == 0;
}

static bool interrupted(const struct plugin_wait *wait, const struct termios *modes)
{
    unsigned char keys[64];
    ssize_t n = read(wait->tty, keys, sizeof keys);

    for (ssize_t i = 0; i < n; i++)
        if (keys[i] == modes->c_cc[VINTR] || keys[i] == modes->c_cc[VQUIT])
            return true;
    return false;
}

enum cancel plugin_wait_for(const struct plugin_wait *wait, int fd, int ms, bool *readable)
{
    struct termios modes;
    const bool keys = reads_keys(wait, &modes);
    struct pollfd on[] = {
        {.fd = wait->signals, .events = POLLIN},
        /* Its keys are not ours otherwise; only that it is gone. */
        {.fd = wait->tty, .events = keys ? POLLIN : 0},
        {.fd = fd, .events = POLLIN},
    };

    *readable = false;
    if (poll(on, sizeof on / sizeof *on, ms) < 0)
        return errno == EINTR ? CANCEL_NOTHING : CANCEL_SIGNAL;
    if (on[0].revents != 0) {
        enum cancel by = read_signal(wait);

        if (by != CANCEL_NOTHING)
            return by;
    }
    if ((on[1].revents & ~POLLIN) != 0)
        return CANCEL_HANGUP;
    if (on[1].revents != 0 && interrupted(wait, &modes))
        return CANCEL_INTERRUPT;
    *readable = on[2].revents != 0;
    return CANCEL_NOTHING;
}

void plugin_wait_pause(const struct plugin_wait *wait)
{
    if (plugin_wait_foreground(wait))
        (void)tcflush(wait->tty, TCIFLUSH);
    (void)sigprocmask(SIG_SETMASK, &wait->mask, NULL);
}

void plugin_wait_go_on(const struct plugin_wait *wait)
{
    (void)sigprocmask(SIG_BLOCK, &wait->blocked, NULL);
}

void plugin_wait_end(struct plugin_wait *wait, bool waited)
{
    if (waited && plugin_wait_foreground(wait))
        (void)tcflush(wait->tty, TCIFLUSH);
    if (wait->tty >= 0)
        (void)close(wait->tty);
    (void)close(wait->signals);
    (void)sigprocmask(SIG_SETMASK, &wait->mask, NULL);
}
