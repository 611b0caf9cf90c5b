/*
 * labpty [-u UID] [-s COLSxROWS] [-k FD] CMD... - runs CMD with a new pty as its
 * controlling terminal and relays: our stdin is what the person types, our stdout what
 * they see.  What is typed comes back on FD once the terminal has it.  The end of stdin is
 * the window being closed.  Exits with CMD's status, 128 + signal.
 * Linked statically, so that it runs in any host; -u gives the terminal to its owner as
 * login would, changing the user is up to CMD (setpriv).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

static _Noreturn void fail(const char *what)
{
    perror(what);
    exit(125);
}

/* Gives the pty the size of our own terminal, if there is one. */
static void follow_size(int slave)
{
    struct winsize size;

    if (ioctl(STDIN_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
        (void)ioctl(slave, TIOCSWINSZ, &size);
}

static void write_all(int fd, const char *at, size_t left)
{
    while (left > 0) {
        ssize_t n = write(fd, at, left);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN) {
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            (void)poll(&wait, 1, 1000);
            continue;
        }
        if (n <= 0)
            return;
        at += n;
        left -= (size_t)n;
    }
}

int main(int argc, char **argv)
{
    struct winsize size = {.ws_col = 100, .ws_row = 50};
    unsigned cols, rows;
    long uid = -1;
    int opt, master, slave, events, status = 0, typed = -1;
    char buf[65536];
    sigset_t watched;
    pid_t pid;

    while ((opt = getopt(argc, argv, "+u:s:k:")) != -1) {
        if (opt == 'u')
            uid = strtol(optarg, NULL, 10);
        else if (opt == 'k')
            typed = atoi(optarg);
        else if (opt == 's' && sscanf(optarg, "%ux%u", &cols, &rows) == 2)
            size = (struct winsize){.ws_col = (unsigned short)cols, .ws_row = (unsigned short)rows};
        else
            return 125;
    }
    if (optind >= argc)
        return 125;
    if (typed >= 0 && fcntl(typed, F_SETFD, FD_CLOEXEC) != 0)
        fail("-k");
    sigemptyset(&watched);
    sigaddset(&watched, SIGCHLD);
    sigaddset(&watched, SIGWINCH);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    events = signalfd(-1, &watched, SFD_CLOEXEC);
    master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (events < 0 || master < 0 || grantpt(master) != 0 || unlockpt(master) != 0)
        fail("pty");
    slave = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || ioctl(slave, TIOCSWINSZ, &size) != 0)
        fail("pty");
    if (uid >= 0 && (fchown(slave, (uid_t)uid, 5) != 0 || fchmod(slave, 0620) != 0))
        fail("pty owner");
    follow_size(slave);
    pid = fork();
    if (pid < 0)
        fail("fork");
    if (pid == 0) {
        sigprocmask(SIG_UNBLOCK, &watched, NULL);
        for (int sig = 1; sig < NSIG; sig++)
            signal(sig, SIG_DFL);
        if (setsid() < 0 || ioctl(slave, TIOCSCTTY, 0) != 0)
            fail("controlling terminal");
        for (int fd = 0; fd < 3; fd++)
            if (dup2(slave, fd) < 0)
                fail("dup2");
        execvp(argv[optind], argv + optind);
        fail(argv[optind]);
    }
    /* The slave stays open here, so that reading never fails while nobody else has it open. */
    signal(SIGPIPE, SIG_IGN);
    for (;;) {
        struct pollfd fds[3] = {{.fd = STDIN_FILENO, .events = POLLIN},
                                {.fd = master, .events = POLLIN},
                                {.fd = events, .events = POLLIN}};
        ssize_t n;

        if (poll(fds, 3, -1) < 0)
            continue;
        if (fds[1].revents != 0 && (n = read(master, buf, sizeof buf)) > 0)
            write_all(STDOUT_FILENO, buf, (size_t)n);
        if (fds[0].revents != 0) {
            n = read(STDIN_FILENO, buf, sizeof buf);
            if (n <= 0)
                return 129; /* the master closes with us: everything on it gets SIGHUP */
            write_all(master, buf, (size_t)n);
            if (typed >= 0)
                write_all(typed, buf, (size_t)n);
        }
        if (fds[2].revents != 0) {
            struct signalfd_siginfo info;

            if (read(events, &info, sizeof info) == sizeof info && info.ssi_signo == SIGWINCH)
                follow_size(slave);
            if (waitpid(pid, &status, WNOHANG) != pid)
                continue;
            fcntl(master, F_SETFL, O_NONBLOCK);
            while ((n = read(master, buf, sizeof buf)) > 0)
                write_all(STDOUT_FILENO, buf, (size_t)n);
            return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        }
    }
}
