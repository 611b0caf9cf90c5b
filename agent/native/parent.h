/* The process that waits for the verdict (sudo, sshd), pinned so that its death is noticed. */
#ifndef IDENTREE_PARENT_H
#define IDENTREE_PARENT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/stat.h>
#include <sys/types.h>

struct proc_stat {
    long long pgrp;           /* field 5 */
    long long tty_nr;         /* field 7 */
    long long tpgid;          /* field 8, -1 without a controlling terminal */
    unsigned long long start; /* field 22, clock ticks since boot */
};

/* Parses /proc/PID/stat. False unless every field up to start is where it belongs. */
bool proc_stat_parse(const char *text, size_t len, struct proc_stat *out);

/* By which this process is told from a later one with its number. */
bool own_start_time(unsigned long long *start);

struct parent {
    pid_t pid;
    int pid_fd;  /* readable when the parent is gone; -1 where the kernel has none */
    int stat_fd; /* stays bound to this very process, even if its number is used again */
    unsigned long long start;
};

/* False when the parent is already gone or cannot be examined. */
bool parent_pin(struct parent *parent);
bool parent_alive(const struct parent *parent);

/* True when one of its standard descriptors is this very file. */
bool parent_has_open(const struct parent *parent, const struct stat *file);

/* True when the parent's process group is in the foreground of its terminal, and that is tty. */
bool parent_foreground(const struct parent *parent, dev_t tty);

#endif
