/* A program of ours at the other end of a socket pair, with nothing else of this process. */
#ifndef IDENTREE_CHILD_H
#define IDENTREE_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

struct child {
    pid_t pid; /* -1: there is none */
    int fd;
};

struct child_program {
    const char *path;
    char *const *argv;
    char *const *env;
    int socket_type;
    bool own_session;       /* away from the terminal of the program that starts it */
    bool dies_with_parent;  /* it would not notice by itself */
    void (*first)(void);    /* what the child does before anything else; NULL: nothing */
};

/* Starts it with the socket as descriptor 0 and /dev/null as 1 and 2. False if it cannot. */
bool child_start(struct child *child, const struct child_program *program);

/*
 * Waits up to grace_ms for it to end by itself, then ends it, and closes fd. Returns its exit
 * status; -1 when it did not exit, or when it cannot be told.
 */
int child_end(struct child *child, int grace_ms);

#endif
