#define _GNU_SOURCE
#include "direct-gate.h"
#include "clean-start.h"
#include "hook-client.h"
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT_START 127

static _Noreturn void run(int fd, pid_t parent, const char *program, char *const env[])
{
    char *const argv[] = {(char *)program, (char *)"gate", (char *)"--direct", NULL};
    int null;

    terminal_disown(); /* a crash in here must not touch the parent's terminal */
    /* A stage ended by SIGKILL cannot end its child; an agent without a person to answer
     * must not live on. */
    if (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent)
        _exit(CANNOT_START);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (null < 0 || dup2(fd, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0 ||
        dup2(null, STDERR_FILENO) < 0 || !close_all_above_stderr() || !default_signals())
        _exit(CANNOT_START);
    (void)execve(program, argv, env);
    _exit(CANNOT_START);
}

bool direct_gate_start(struct direct_gate *gate, const char *program, char *const env[])
{
    pid_t self = getpid();
    int pair[2];

    gate->pid = -1;
    gate->fd = -1;
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    gate->pid = fork();
    if (gate->pid == 0)
        run(pair[1], self, program, env);
    (void)close(pair[1]);
    if (gate->pid < 0) {
        (void)close(pair[0]);
        return false;
    }
    gate->fd = pair[0];
    return true;
}

static bool ended_within(pid_t pid, int ms)
{
    int64_t deadline = hook_now_ms() + ms;

    for (;;) {
        pid_t got = waitpid(pid, NULL, WNOHANG);

        if (got == pid || (got < 0 && errno != EINTR))
            return true;
        if (hook_now_ms() >= deadline)
            return false;
        (void)poll(NULL, 0, 5);
    }
}

void direct_gate_end(struct direct_gate *gate, int grace_ms)
{
    if (gate->fd >= 0)
        (void)shutdown(gate->fd, SHUT_WR);
    if (gate->pid > 0 && !ended_within(gate->pid, grace_ms)) {
        (void)kill(gate->pid, SIGTERM);
        if (!ended_within(gate->pid, 100)) {
            (void)kill(gate->pid, SIGKILL);
            (void)ended_within(gate->pid, 1000);
        }
    }
    gate->pid = -1;
    if (gate->fd >= 0)
        (void)close(gate->fd);
    gate->fd = -1;
}
