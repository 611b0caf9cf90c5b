/*
 * labsubreaper CMD... - runs CMD and adopts its orphans, as a session manager does.
 * Whoever takes "my parent is process 1" for "my parent is gone" is wrong below it.
 */
#include <errno.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int status, result = 125;
    pid_t pid, first;

    if (argc < 2 || prctl(PR_SET_CHILD_SUBREAPER, 1) != 0 || (first = fork()) < 0)
        return 125;
    if (first == 0) {
        execvp(argv[1], argv + 1);
        _exit(126);
    }
    while ((pid = wait(&status)) > 0 || errno == EINTR)
        if (pid == first)
            result = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return result;
}
