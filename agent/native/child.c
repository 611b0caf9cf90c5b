#define _GNU_SOURCE
#include "child.h"
#include "clean-start.h"
#include "hook-client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define CANNOT_START 127
#define NEVER (-1)

static _Noreturn void run(int fd, pid_t parent, const struct child_program *program)
{
    int null;

    if (program->first != NULL)
        program->first();
    if (program->own_session && setsid() < 0)
        _exit(CANNOT_START);
    if (program->dies_with_parent &&
        (prctl(PR_SET_PDEATHSIG, SIGTERM) != 0 || getppid() != parent))
        _exit(CANNOT_START);
    /* Above the three that are replaced: the program that started this process may have closed any of them. */
    fd = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    null = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0 || null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0 ||
        dup2(fd, STDIN_FILENO) < 0 || fcntl(STDOUT_FILENO, F_SETFD, 0) < 0 ||
        fcntl(STDERR_FILENO, F_SETFD, 0) < 0 || !close_all_above_stderr() || !default_signals())
        _exit(CANNOT_START);
    usual_limits();
    usual_turn();
    (void)execve(program->path, program->argv, program->env);
    _exit(CANNOT_START);
}

bool child_start(struct child *child, const struct child_program *program)
{
    pid_t self = getpid();
    int pair[2];

    child->pid = -1;
    child->fd = -1;
    if (socketpair(AF_UNIX, program->socket_type | SOCK_CLOEXEC, 0, pair) != 0)
        return false;
    child->pid = fork();
    if (child->pid == 0)
        run(pair[1], self, program);
    (void)close(pair[1]);
    if (child->pid < 0) {
        (void)close(pair[0]);
        return false;
    }
    child->fd = pair[0];
    return true;
}

/* True when there is nothing left to wait for. */
static bool ended_within(pid_t pid, int ms, int *status)
{
    int64_t deadline = hook_now_ms() + ms;

    for (;;) {
        int raw = 0;
        pid_t got = waitpid(pid, &raw, WNOHANG);

        if (got == pid) {
            *status = WIFEXITED(raw) ? WEXITSTATUS(raw) : NEVER;
            return true;
        }
        if (got < 0 && errno != EINTR)
            return true; /* another handler has taken its status: it cannot be told any more */
        if (hook_now_ms() >= deadline)
            return false;
        (void)poll(NULL, 0, 1);
    }
}

int child_end(struct child *child, int grace_ms)
{
    int status = NEVER;

    if (child->fd >= 0)
        (void)shutdown(child->fd, SHUT_WR);
    if (child->pid > 0 && !ended_within(child->pid, grace_ms, &status)) {
        (void)kill(child->pid, SIGTERM);
        if (!ended_within(child->pid, 100, &status)) {
            (void)kill(child->pid, SIGKILL);
            (void)ended_within(child->pid, 1000, &status);
        }
        status = NEVER;
    }
    child->pid = -1;
    if (child->fd >= 0)
        (void)close(child->fd);
    child->fd = -1;
    return status;
}
