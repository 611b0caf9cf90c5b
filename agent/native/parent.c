#define _GNU_SOURCE
#include "parent.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

#define FIELD_STATE 3
#define FIELD_PGRP 5
#define FIELD_TTY_NR 7
#define FIELD_TPGID 8
#define FIELD_START 22

/* A decimal number at *at, ended by a space or the end of the text. */
static bool take_number(const char **at, const char *end, bool *negative, unsigned long long *out)
{
    const char *p = *at;
    unsigned long long value = 0;

    *negative = p < end && *p == '-';
    if (*negative)
        p++;
    if (p == end || *p < '0' || *p > '9')
        return false;
    for (; p < end && *p >= '0' && *p <= '9'; p++) {
        unsigned long long digit = (unsigned long long)(*p - '0');

        if (value > (ULLONG_MAX - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    if (p < end && *p != ' ' && *p != '\n')
        return false;
    *at = p;
    *out = value;
    return true;
}

static bool as_signed(bool negative, unsigned long long value, long long *out)
{
    if (value > LLONG_MAX)
        return false;
    *out = negative ? -(long long)value : (long long)value;
    return true;
}

bool proc_stat_parse(const char *text, size_t len, struct proc_stat *out)
{
    /* The name in parentheses is chosen by the process and may hold ") R 1 1 1":
     * only what follows the last parenthesis was written by the kernel. */
    const char *end = text + len;
    const char *p = len > 0 ? memrchr(text, ')', len) : NULL;

    memset(out, 0, sizeof *out);
    if (p == NULL || end - p < 4 || p[1] != ' ' || p[3] != ' ')
        return false;
    p += 3; /* the space after field 3, a single letter */
    for (int field = FIELD_STATE + 1; field <= FIELD_START; field++) {
        unsigned long long value;
        bool negative;

        if (p >= end || *p != ' ')
            return false;
        p++;
        if (!take_number(&p, end, &negative, &value))
            return false;
        if (field == FIELD_PGRP && !as_signed(negative, value, &out->pgrp))
            return false;
        if (field == FIELD_TTY_NR && !as_signed(negative, value, &out->tty_nr))
            return false;
        if (field == FIELD_TPGID && !as_signed(negative, value, &out->tpgid))
            return false;
        if (field == FIELD_START) {
            if (negative)
                return false;
            out->start = value;
        }
    }
    return true;
}

static bool read_stat(int fd, struct proc_stat *out)
{
    char text[2048];
    ssize_t n = pread(fd, text, sizeof text, 0);

    return n > 0 && (size_t)n < sizeof text && proc_stat_parse(text, (size_t)n, out);
}

bool own_start_time(unsigned long long *start)
{
    struct proc_stat st;
    int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
    bool read;

    if (fd < 0)
        return false;
    read = read_stat(fd, &st);
    (void)close(fd);
    if (read)
        *start = st.start;
    return read;
}

bool parent_alive(const struct parent *parent)
{
    struct pollfd p = {.fd = parent->pid_fd, .events = POLLIN};

    /* An orphan is handed to init or to a subreaper: either way the number changes. */
    if (getppid() != parent->pid)
        return false;
    return parent->pid_fd < 0 || poll(&p, 1, 0) == 0;
}

bool parent_pin(struct parent *parent)
{
    char path[32];
    struct proc_stat st;
    int n;

    parent->pid = getppid();
    parent->pid_fd = -1;
    parent->stat_fd = -1;
    if (parent->pid <= 0)
        return false;
    parent->pid_fd = (int)syscall(SYS_pidfd_open, parent->pid, 0);
    if (parent->pid_fd < 0 && errno != ENOSYS && errno != EPERM)
        return false;
    n = snprintf(path, sizeof path, "/proc/%d/stat", (int)parent->pid);
    if (n <= 0 || (size_t)n >= sizeof path)
        return false;
    parent->stat_fd = open(path, O_RDONLY | O_CLOEXEC);
    if (parent->stat_fd < 0 || !read_stat(parent->stat_fd, &st))
        return false;
    parent->start = st.start;
    /* Still our parent after all that: the descriptors are of that process and not of
     * one that was given its number meanwhile. */
    return parent_alive(parent);
}

bool parent_has_open(const struct parent *parent, const struct stat *file)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        char path[48];
        struct stat st;

        (void)snprintf(path, sizeof path, "/proc/%d/fd/%d", (int)parent->pid, fd);
        if (stat(path, &st) == 0 && st.st_dev == file->st_dev && st.st_ino == file->st_ino)
            return parent_alive(parent);
    }
    return false;
}

static bool same_terminal(long long tty_nr, dev_t tty)
{
    unsigned long long nr = (unsigned long long)tty_nr;

    return tty_nr > 0 && major(tty) == ((nr >> 8) & 0xfff) &&
           minor(tty) == ((nr & 0xff) | ((nr >> 12) & 0xfff00));
}

bool parent_foreground(const struct parent *parent, dev_t tty)
{
    struct proc_stat st;

    /* tcgetpgrp() is of no use: pam_exec starts the stage in a session of its own. */
    return read_stat(parent->stat_fd, &st) && st.start == parent->start && st.tpgid > 0 &&
           st.tpgid == st.pgrp && same_terminal(st.tty_nr, tty);
}
