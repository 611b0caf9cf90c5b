/*
 * Test tool: a terminal with a shell in it that runs "sudo", which runs the stage the way
 * pam_exec does (own session, output through a pipe). Driven by lines on stdin, reports by
 * lines on stdout; every line is one write, so the processes may share stdout.
 *
 *   ptyrun [--subreaper] [--deaf] [--tty=PATH] [--instance=DIR] program args...
 *
 * start [bg] | key HEX | modes | shellmodes | bg | fg | hup | leftover
 * (signals are sent by the test itself: it is told the numbers of the processes)
 *
 * --subreaper  orphans come to ptyrun instead of init, and their end is reported
 * --deaf       "sudo" never reads the stage's output
 * --tty=PATH   PAM_TTY names another terminal than sudo's own
 * --instance=DIR  sudo's own is of the devpts there, and has the number of the other one
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define GIVE_UP_SECONDS 60

static bool deaf;
static char slave_name[64];
static const char *pam_tty = slave_name;

static _Noreturn void die(const char *what)
{
    perror(what);
    _exit(99);
}

static __attribute__((format(printf, 1, 2))) void report(const char *format, ...)
{
    char line[512];
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(line, sizeof line - 1, format, args);
    va_end(args);
    if (n < 0)
        return;
    line[n++] = '\n';
    if (write(STDOUT_FILENO, line, (size_t)n) < 0)
        _exit(98);
}

static void report_hex(const char *what, const unsigned char *bytes, ssize_t len)
{
    char hex[401];

    while (len > 0) {
        ssize_t n = len < 200 ? len : 200;

        for (ssize_t i = 0; i < n; i++)
            (void)snprintf(hex + 2 * i, 3, "%02x", bytes[i]);
        report("%s %s", what, hex);
        bytes += n;
        len -= n;
    }
}

static void report_end(const char *who, int status)
{
    if (WIFEXITED(status))
        report("%s exit %d", who, WEXITSTATUS(status));
    else
        report("%s killed %d", who, WTERMSIG(status));
}

static _Noreturn void fake_sudo(char **argv, int go)
{
    int in[2], out[2], status;
    unsigned char buf[200];
    pid_t stage;
    ssize_t n;
    char byte;

    (void)alarm(GIVE_UP_SECONDS);
    (void)signal(SIGINT, SIG_IGN);
    (void)signal(SIGQUIT, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN); /* as sudo, which is told by PAM's answer only */
    if (read(go, &byte, 1) != 1 || pipe(in) != 0 || pipe(out) != 0)
        die("pipe");
    stage = fork();
    if (stage < 0)
        die("fork");
    if (stage == 0) {
        (void)signal(SIGPIPE, SIG_IGN);
        if (setsid() < 0 || dup2(in[0], 0) < 0 || dup2(out[1], 1) < 0 || dup2(out[1], 2) < 0 ||
            close(in[1]) != 0 || close(out[0]) != 0 || setenv("PAM_TTY", pam_tty, 1) != 0)
            die("stage");
        (void)execv(argv[0], argv);
        die("exec");
    }
    (void)close(in[0]);
    (void)close(in[1]);
    (void)close(out[1]);
    report("stage %d", (int)stage);
    if (!deaf)
        while ((n = read(out[0], buf, sizeof buf)) > 0)
            report_hex("text", buf, n);
    if (waitpid(stage, &status, 0) != stage)
        die("waitpid");
    report_end("stage", status);
    _exit(0);
}

static void set_modes(tcflag_t clear, tcflag_t set)
{
    struct termios t;

    if (tcgetattr(0, &t) != 0)
        die("tcgetattr");
    t.c_lflag = (t.c_lflag & ~clear) | set;
    if (tcsetattr(0, TCSANOW, &t) != 0)
        die("tcsetattr");
}

static void report_leftover(void)
{
    unsigned char buf[200];
    ssize_t n;

    set_modes(ICANON | ECHO, 0); /* an unfinished line becomes readable too */
    if (fcntl(0, F_SETFL, O_NONBLOCK) != 0)
        die("fcntl");
    while ((n = read(0, buf, sizeof buf)) > 0)
        report_hex("leftover", buf, n);
    report("leftover .");
}

/* One command per byte from the driver; a shell's part of job control. */
static _Noreturn void shell(char **argv, int commands)
{
    pid_t sudo = -1;
    char command;
    int tty;

    (void)alarm(GIVE_UP_SECONDS);
    (void)signal(SIGTTOU, SIG_IGN);
    (void)signal(SIGTTIN, SIG_IGN);
    (void)signal(SIGHUP, SIG_IGN); /* outlive a hang-up, to see what the stage does */
    if (setsid() < 0 || (tty = open(slave_name, O_RDWR)) < 0 || ioctl(tty, TIOCSCTTY, 0) != 0 ||
        dup2(tty, 0) < 0)
        die("terminal");
    report("shell %d", (int)getpid());
    while (read(commands, &command, 1) == 1) {
        switch (command) {
        case 's':
        case 'S': {
            int go[2];

            if (pipe(go) != 0 || (sudo = fork()) < 0)
                die("fork");
            if (sudo == 0) {
                (void)setpgid(0, 0);
                fake_sudo(argv, go[0]);
            }
            (void)setpgid(sudo, sudo);
            if (command == 's' && tcsetpgrp(0, sudo) != 0)
                die("tcsetpgrp");
            report("sudo %d", (int)sudo);
            if (write(go[1], "g", 1) != 1)
                die("go");
            break;
        }
        case 'b':
            if (tcsetpgrp(0, getpgrp()) != 0)
                die("tcsetpgrp");
            break;
        case 'f':
            if (tcsetpgrp(0, sudo) != 0)
                die("tcsetpgrp");
            break;
        case 'm': /* what a line editor sets: unlike ours, with ISIG */
            set_modes(ICANON | ECHO, ISIG);
            break;
        case 'l':
            report_leftover();
            break;
        default:
            break;
        }
        report("did %c", command);
    }
    _exit(0);
}

static void tell_shell(int fd, char command)
{
    if (write(fd, &command, 1) != 1)
        die("shell");
}

/* A pty of another instance of devpts, with the number that PAM_TTY has in the usual one. */
static int open_in_instance(const char *dir)
{
    const char *number = strrchr(pam_tty, '/');
    char path[256];
    unsigned int got;
    int master;

    (void)snprintf(path, sizeof path, "%s/ptmx", dir);
    do { /* those before it stay open, so that each gets the next number */
        master = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (number == NULL || master < 0 || ioctl(master, TIOCGPTN, &got) != 0)
            die("instance");
    } while (got != (unsigned int)strtoul(number + 1, NULL, 10));
    if (unlockpt(master) != 0)
        die("unlockpt");
    (void)snprintf(slave_name, sizeof slave_name, "%s/%u", dir, got);
    return master;
}

int main(int argc, char **argv)
{
    const char *instance = NULL;
    struct winsize size = {.ws_row = 37, .ws_col = 101};
    bool subreaper = false;
    int master, to_shell[2];
    static char line[65536];
    size_t len = 0;
    pid_t shell_pid;

    for (argv++, argc--; argc > 0 && strncmp(*argv, "--", 2) == 0; argv++, argc--) {
        if (strcmp(*argv, "--subreaper") == 0)
            subreaper = true;
        else if (strcmp(*argv, "--deaf") == 0)
            deaf = true;
        else if (strncmp(*argv, "--tty=", 6) == 0)
            pam_tty = *argv + 6;
        else if (strncmp(*argv, "--instance=", 11) == 0)
            instance = *argv + 11;
    }
    if (argc < 1)
        return 2;
    (void)alarm(GIVE_UP_SECONDS);
    (void)signal(SIGPIPE, SIG_IGN);
    if (subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1) != 0)
        die("subreaper");
    master = instance != NULL ? open_in_instance(instance) : posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (master < 0 || (instance == NULL && (grantpt(master) != 0 || unlockpt(master) != 0 ||
                                            ptsname_r(master, slave_name, sizeof slave_name) != 0)) ||
        ioctl(master, TIOCSWINSZ, &size) != 0 || pipe2(to_shell, 0) != 0)
        die("pty");
    shell_pid = fork();
    if (shell_pid < 0)
        die("fork");
    if (shell_pid == 0) {
        (void)close(master);
        (void)close(to_shell[1]);
        shell(argv, to_shell[0]);
    }
    (void)close(to_shell[0]);
    report("tty %s", slave_name);
    for (;;) {
        struct pollfd p[2] = {{.fd = 0, .events = POLLIN}, {.fd = master, .events = POLLIN}};
        unsigned char buf[200];
        char *end;
        ssize_t n;
        int status;
        pid_t gone;

        if (poll(p, 2, 20) < 0 && errno != EINTR)
            die("poll");
        while ((gone = waitpid(-1, &status, WNOHANG)) > 0)
            if (gone != shell_pid)
                report_end("orphan", status);
        if (master >= 0 && (p[1].revents & POLLIN) != 0 &&
            (n = read(master, buf, sizeof buf)) > 0)
            report_hex("out", buf, n);
        if (p[0].revents == 0)
            continue;
        n = read(0, line + len, sizeof line - 1 - len);
        if (n <= 0)
            break;
        len += (size_t)n;
        line[len] = '\0';
        while ((end = strchr(line, '\n')) != NULL) {
            *end = '\0';
            if (strncmp(line, "key ", 4) == 0) {
                static unsigned char bytes[32768];
                size_t count = 0;
                unsigned value;

                for (const char *h = line + 4; sscanf(h, "%2x", &value) == 1; h += 2)
                    bytes[count++] = (unsigned char)value;
                if (write(master, bytes, count) != (ssize_t)count)
                    die("key");
                report("did key");
            } else if (strcmp(line, "modes") == 0) {
                struct termios t;

                if (tcgetattr(master, &t) != 0)
                    die("tcgetattr");
                report("modes %x %x %x %x %u %u", t.c_iflag, t.c_oflag, t.c_cflag, t.c_lflag,
                       t.c_cc[VMIN], t.c_cc[VTIME]);
            } else if (strcmp(line, "hup") == 0) {
                (void)close(master);
                master = -1;
                report("did hup");
            } else if (strcmp(line, "start") == 0) {
                tell_shell(to_shell[1], 's');
            } else if (strcmp(line, "start bg") == 0) {
                tell_shell(to_shell[1], 'S');
            } else if (strcmp(line, "bg") == 0) {
                tell_shell(to_shell[1], 'b');
            } else if (strcmp(line, "fg") == 0) {
                tell_shell(to_shell[1], 'f');
            } else if (strcmp(line, "shellmodes") == 0) {
                tell_shell(to_shell[1], 'm');
            } else if (strcmp(line, "leftover") == 0) {
                tell_shell(to_shell[1], 'l');
            } else {
                report("unknown %s", line);
            }
            len -= (size_t)(end + 1 - line);
            memmove(line, end + 1, len + 1);
        }
    }
    (void)kill(shell_pid, SIGKILL);
    return 0;
}
