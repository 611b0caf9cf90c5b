#define _GNU_SOURCE
#include "clean-start.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef SYS_close_range
#define SYS_close_range 436
#endif

/* linux/ioprio.h, which older systems do not have. */
#define IOPRIO_OF_PROCESS 1
#define IOPRIO_BY_NICE 0

#define USUAL_TIMER_SLACK_NS 50000UL

#define FIRST_UNNEEDED 3
#define FALLBACK_LAST_FD 65536

static const struct {
    const char *name;
    size_t limit;
} known[ENV_COUNT] = {
    [PAM_ENV_USER] = {"PAM_USER", 256},
    [PAM_ENV_RUSER] = {"PAM_RUSER", 256},
    [PAM_ENV_RHOST] = {"PAM_RHOST", 256},
    [PAM_ENV_SERVICE] = {"PAM_SERVICE", 64},
    [PAM_ENV_TTY] = {"PAM_TTY", 128},
    [PAM_ENV_TYPE] = {"PAM_TYPE", 32},
    [SSH_ENV_CONNECTION] = {"SSH_CONNECTION", 256},
    /* One line per method passed before, with the whole key: RSA 16384 needs 2.8 kB. */
    [SSH_ENV_AUTH_INFO] = {"SSH_AUTH_INFO_0", 4096},
};

size_t handed_over_limit(enum pam_name name)
{
    return known[name].limit;
}

const char *handed_over_name(enum pam_name name)
{
    return known[name].name;
}

void direct_environment(char *env[DIRECT_ENV_SIZE], const struct handed_over *from)
{
    size_t n = 0;

    for (int i = 0; i < PAM_ENV_COUNT; i++) {
        const char *value = from->value[i];

        if (value != NULL && strnlen(value, known[i].limit + 1) <= known[i].limit)
            env[n++] = (char *)value - strlen(known[i].name) - 1; /* NAME=value, in place */
    }
    env[n++] = (char *)"PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    env[n] = NULL;
}

void take_handed_over(struct handed_over *out, char *const env[])
{
    memset(out, 0, sizeof *out);
    for (; env != NULL && *env != NULL; env++) {
        for (int i = 0; i < ENV_COUNT; i++) {
            size_t len = strlen(known[i].name);

            if (strncmp(*env, known[i].name, len) != 0 || (*env)[len] != '=')
                continue;
            /* pam_exec appends its own after whatever other modules put into the PAM
             * environment. With pam_env reading a file of the user's, the first PAM_USER
             * could be the user's choice, so two of them are an attack, not a choice. */
            if (out->value[i] != NULL)
                out->duplicate = true;
            out->value[i] = *env + len + 1;
        }
    }
}

bool close_all_above_stderr(void)
{
    if (syscall(SYS_close_range, FIRST_UNNEEDED, ~0U, 0) == 0)
        return true;
    if (errno != ENOSYS && errno != EPERM)
        return false;
    for (int fd = FIRST_UNNEEDED; fd < FALLBACK_LAST_FD; fd++)
        (void)close(fd);
    return true;
}

static bool standard_descriptors(void)
{
    /* Otherwise the next open() becomes stdout, and text for the person lands in it. */
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && (errno != EBADF || open("/dev/null", O_RDWR) != fd))
            return false;
    return true;
}

static bool keeps_handler(int sig)
{
#ifdef IDENTREE_SANITIZED
    return sig == SIGSEGV || sig == SIGBUS || sig == SIGFPE || sig == SIGILL;
#else
    (void)sig;
    return false;
#endif
}

bool default_signals(void)
{
    struct sigaction act = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int sig = 1; sig < NSIG; sig++) {
        if (sig == SIGKILL || sig == SIGSTOP || keeps_handler(sig))
            continue;
        /* EINVAL: the numbers libc keeps for itself. */
        if (sigaction(sig, &act, NULL) != 0 && errno != EINVAL)
            return false;
    }
    return sigemptyset(&none) == 0 && sigprocmask(SIG_SETMASK, &none, NULL) == 0;
}

void usual_limits(void)
{
    static const struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY};
    static const struct rlimit stack = {8u << 20, RLIM_INFINITY};
    static const struct rlimit files = {1024, 524288};
    const struct {
        int of;
        const struct rlimit *usual;
    } limits[] = {
        {RLIMIT_AS, &all},    {RLIMIT_CPU, &all}, {RLIMIT_DATA, &all},    {RLIMIT_FSIZE, &all},
        {RLIMIT_NPROC, &all}, {RLIMIT_RSS, &all}, {RLIMIT_STACK, &stack}, {RLIMIT_NOFILE, &files},
    };

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct rlimit now;

        if (setrlimit(limits[i].of, limits[i].usual) == 0 || getrlimit(limits[i].of, &now) != 0)
            continue;
        /* Root in a container may not raise them: as far as it goes. */
        if (limits[i].usual->rlim_cur < now.rlim_max)
            now.rlim_cur = limits[i].usual->rlim_cur;
        else
            now.rlim_cur = now.rlim_max;
        (void)setrlimit(limits[i].of, &now);
    }
}

void usual_turn(void)
{
    const struct sched_param none = {0};
    cpu_set_t all;

    memset(&all, 0xff, sizeof all);
    (void)sched_setaffinity(0, sizeof all, &all);
    (void)sched_setscheduler(0, SCHED_OTHER, &none);
    (void)setpriority(PRIO_PROCESS, 0, 0);
    (void)syscall(SYS_ioprio_set, IOPRIO_OF_PROCESS, 0, IOPRIO_BY_NICE);
    (void)prctl(PR_SET_TIMERSLACK, USUAL_TIMER_SLACK_NS, 0, 0, 0);
}

static bool become_root(void)
{
#ifdef IDENTREE_TEST
    if (geteuid() != 0)
        return true;
#endif
    if (geteuid() != 0)
        return false;
    return setgroups(0, NULL) == 0 && setresgid(0, 0, 0) == 0 && setresuid(0, 0, 0) == 0;
}

bool clean_start(void)
{
    const struct rlimit no_core = {0, 0};

    if (chdir("/") != 0 || clearenv() != 0)
        return false;
    (void)umask(077);
    return become_root() && close_all_above_stderr() && standard_descriptors() &&
           default_signals() && setrlimit(RLIMIT_CORE, &no_core) == 0 &&
           prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) == 0;
}
