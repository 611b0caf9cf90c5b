/*
 * labclock.so - loaded into a program with LD_PRELOAD, sets its wall clock, and nobody else's: by as many seconds as
 * the file LAB_CLOCK says now. A container has no wall clock of its own. Programs that it starts have the right time.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

static char file[PATH_MAX];

__attribute__((constructor)) static void begin(void)
{
    const char *named = getenv("LAB_CLOCK");

    for (size_t i = 0; named && named[i] && i < sizeof file - 1; i++)
        file[i] = named[i];
    unsetenv("LD_PRELOAD");
    unsetenv("LAB_CLOCK");
}

static long off(void)
{
    char text[32];
    int fd = file[0] ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t length = fd < 0 ? 0 : read(fd, text, sizeof text - 1);

    if (fd >= 0)
        close(fd);
    text[length < 0 ? 0 : length] = 0;
    return atol(text);
}

int clock_gettime(clockid_t which, struct timespec *now)
{
    int failed = REAL(clock_gettime)(which, now);

    if (!failed && (which == CLOCK_REALTIME || which == CLOCK_REALTIME_COARSE))
        now->tv_sec += off();
    return failed;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    int failed = REAL(gettimeofday)(now, zone);

    if (!failed)
        now->tv_sec += off();
    return failed;
}
