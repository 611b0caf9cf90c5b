/*
 * labruns ID PROGRAM - runs a program many times as an account whose user and group have this
 * number, without a terminal, one run after the other, and hands back what each of them printed.
 *
 * Standard input, for each run: the folder, the number of arguments and the arguments
 * (argv[0] first), the number of variables and the variables; each ended by NUL. Standard
 * output, for each run: status, length of output, length of errors on a line, then the bytes.
 * A run that is not over after PATIENCE is told on standard error with what was running, and ended.
 */
#define _GNU_SOURCE
#include <err.h>
#include <grp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MAX_WORDS 4096
#define MAX_OUTPUT (1 << 20)
/* In seconds; what nobody is asked about takes milliseconds. */
#define PATIENCE 60

static char *word(void)
{
    char *text = NULL;
    size_t size = 0;

    if (getdelim(&text, &size, 0, stdin) < 0) {
        free(text);
        return NULL;
    }
    return text;
}

static char **words(void)
{
    char *count = word();
    int n = count == NULL ? -1 : atoi(count);
    char **list;

    if (n < 0 || n > MAX_WORDS)
        errx(2, "malformed input");
    list = calloc((size_t)n + 1, sizeof *list);
    for (int i = 0; i < n; i++)
        if ((list[i] = word()) == NULL)
            errx(2, "input ends early");
    free(count);
    return list;
}

/* Says what runs, and ends the session of a run, which another account may have. */
static void give_up(pid_t pid, const char *folder, char *const *args)
{
    char command[64];

    fprintf(stderr, "labruns: not over after %d s, in %s:", PATIENCE, folder);
    for (; *args != NULL; args++)
        fprintf(stderr, " '%s'", *args);
    fputc('\n', stderr);
    (void)!system("ps axfo pid,ppid,sid,stat,wchan:24,args >&2");
    snprintf(command, sizeof command, "pkill -KILL -s %d", (int)pid);
    (void)!system(command);
}

static void forget(char **list)
{
    for (char **entry = list; *entry != NULL; entry++)
        free(*entry);
    free(list);
}

int main(int argc, char *argv[])
{
    static char text[2][MAX_OUTPUT];
    char *folder;
    gid_t id = argc == 3 ? (gid_t)atoi(argv[1]) : 0;

    if (id == 0)
        errx(2, "usage: labruns ID PROGRAM");
    while ((folder = word()) != NULL) {
        char **args = words(), **vars = words();
        struct pollfd from[2] = {{.events = POLLIN}, {.events = POLLIN}};
        size_t length[2] = {0, 0};
        int out[2], errors[2], status = 0, open = 2;
        time_t until = time(NULL) + PATIENCE;
        pid_t pid;

        if (pipe(out) != 0 || pipe(errors) != 0 || (pid = fork()) < 0)
            err(2, "cannot start a run");
        if (pid == 0) {
            if (setsid() < 0 || dup2(out[1], 1) < 0 || dup2(errors[1], 2) < 0 ||
                freopen("/dev/null", "r", stdin) == NULL ||
                setgroups(1, &id) != 0 || setresgid(id, id, id) != 0 ||
                setresuid(id, id, id) != 0 || chdir(folder) != 0)
                _exit(126);
            for (int fd = 3; fd < 16; fd++)
                (void)close(fd);
            (void)execve(argv[2], args, vars);
            _exit(127);
        }
        close(out[1]);
        close(errors[1]);
        from[0].fd = out[0];
        from[1].fd = errors[0];
        while (open > 0 && poll(from, 2, 1000) >= 0) {
            if (time(NULL) > until) {
                give_up(pid, folder, args);
                break;
            }
            for (int i = 0; i < 2; i++) {
                char more[4096];
                ssize_t n;

                if (from[i].fd < 0 || from[i].revents == 0)
                    continue;
                if ((n = read(from[i].fd, more, sizeof more)) <= 0) {
                    close(from[i].fd);
                    from[i].fd = -1;
                    open--;
                } else if (length[i] + (size_t)n <= MAX_OUTPUT) {
                    memcpy(text[i] + length[i], more, (size_t)n);
                    length[i] += (size_t)n;
                }
            }
        }
        for (int i = 0; i < 2; i++)
            if (from[i].fd >= 0)
                close(from[i].fd);
        (void)waitpid(pid, &status, 0);
        printf("%d %zu %zu\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
               length[0], length[1]);
        fwrite(text[0], 1, length[0], stdout);
        fwrite(text[1], 1, length[1], stdout);
        fflush(stdout);
        free(folder);
        forget(args);
        forget(vars);
    }
    return 0;
}
