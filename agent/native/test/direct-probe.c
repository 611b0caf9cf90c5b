/*
 * Test tool in the place of `/usr/bin/identree gate --direct`: reports what it was given
 * as text lines and then does what its own name says:
 *   direct-grant, direct-refuse, direct-silent (never answers), direct-crash,
 *   direct-linger (grants, then ignores SIGTERM and stays), direct-wait (until cancelled)
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

extern char **environ;

static void frame(char type, const char *payload, size_t len)
{
    uint8_t head[3] = {(uint8_t)type, (uint8_t)(len >> 8), (uint8_t)(len & 0xff)};

    if (write(0, head, 3) != 3 || write(0, payload, len) != (ssize_t)len)
        _exit(3);
}

static void text(const char *name, const char *value)
{
    char line[4096];
    int n = snprintf(line, sizeof line, "%s %s", name, value);

    frame('T', line, (size_t)n);
}

static void read_exactly(uint8_t *to, size_t len)
{
    while (len > 0) {
        ssize_t n = read(0, to, len);

        if (n <= 0)
            _exit(4);
        to += n;
        len -= (size_t)n;
    }
}

static void report_status(void)
{
    static const char *const wanted[] = {"Uid:", "Gid:", "Groups:", "Umask:", "SigBlk:", "SigIgn:"};
    char line[512];
    FILE *file = fopen("/proc/self/status", "r");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++)
            if (strncmp(line, wanted[i], strlen(wanted[i])) == 0) {
                line[strcspn(line, "\n")] = '\0';
                text("status", line);
            }
    if (file != NULL)
        (void)fclose(file);
}

static void report_limits(void)
{
    static const struct {
        const char *name;
        int of;
    } limits[] = {{"fsize", RLIMIT_FSIZE}, {"cpu", RLIMIT_CPU}, {"stack", RLIMIT_STACK}, {"nofile", RLIMIT_NOFILE}};
    char line[64];
    struct rlimit now;

    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
        if (getrlimit(limits[i].of, &now) == 0) {
            (void)snprintf(line, sizeof line, "%s %lld", limits[i].name, (long long)now.rlim_cur);
            text("limit", line);
        }
}

/* How soon it gets a processor, a disk and its timers. */
static void report_turn(void)
{
    char line[128];
    cpu_set_t cpus;

    (void)snprintf(line, sizeof line, "policy %d nice %d cpus %d disk %ld slack %d", sched_getscheduler(0),
                   getpriority(PRIO_PROCESS, 0), sched_getaffinity(0, sizeof cpus, &cpus) == 0 ? CPU_COUNT(&cpus) : 0,
                   syscall(SYS_ioprio_get, 1, 0), prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0));
    text("turn", line);
}

int main(int argc, char **argv)
{
    static uint8_t hello[65536];
    char number[64], link[64], target[256];
    const char *name = strrchr(argv[0], '/');
    uint8_t head[3];

    name = name == NULL ? argv[0] : name + 1;
    if (strcmp(name, "direct-crash") == 0)
        return 5;
    if (strcmp(name, "direct-silent") == 0) {
        (void)sleep(30);
        return 0;
    }
    read_exactly(head, 3);
    read_exactly(hello, (size_t)head[1] << 8 | head[2]);
    frame('A', "", 0);
    for (int i = 0; i < argc; i++)
        text("arg", argv[i]);
    for (char **e = environ; *e != NULL; e++)
        text("env", *e);
    (void)snprintf(number, sizeof number, "%d", (int)getpid());
    text("pid", number);
    text("cwd", getcwd(target, sizeof target) != NULL ? target : "?");
    for (int fd = 0; fd < 4096; fd++) {
        ssize_t n;

        (void)snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
        n = readlink(link, target, sizeof target - 1);
        if (n < 0)
            continue;
        target[n] = '\0';
        (void)snprintf(number, sizeof number, "%d %.40s", fd, target);
        text("fd", number);
    }
    report_status();
    report_limits();
    report_turn();
    text("hello", (const char *)hello);
    if (strcmp(name, "direct-refuse") == 0) {
        frame('V', "1", 1);
        return 0;
    }
    if (strcmp(name, "direct-wait") == 0) {
        read_exactly(head, 3);
        read_exactly(hello, (size_t)head[1] << 8 | head[2]);
        return head[0] == 'C' ? 0 : 6;
    }
    if (strcmp(name, "direct-linger") == 0) {
        (void)signal(SIGTERM, SIG_IGN);
        frame('V', "0", 1);
        (void)sleep(30);
        return 0;
    }
    frame('V', "0", 1);
    return 0;
}
