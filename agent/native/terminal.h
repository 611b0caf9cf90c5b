/*
 * The person's terminal while sudo waits: keys are read only to notice a cancellation.
 *
 * The stage is in another session than the terminal, so the kernel's job control does
 * not protect anybody from it: it never stops with SIGTTIN or SIGTTOU. Hence the rules
 * here: in the background nothing is read and nothing is set; in the foreground the
 * modes are ours until released.
 */
#ifndef IDENTREE_TERMINAL_H
#define IDENTREE_TERMINAL_H

#include <stdbool.h>
#include <sys/stat.h>

enum terminal_found {
    TERMINAL_NONE, /* no usable terminal: go on without keys */
    TERMINAL_OPEN,
    TERMINAL_GONE, /* a terminal was there and is not any more */
};

enum terminal_key {
    KEY_NOTHING,
    KEY_CANCEL,
    KEY_HANGUP,
};

enum terminal_found terminal_open(const char *path);
int terminal_fd(void); /* -1 without a terminal */
const struct stat *terminal_node(void); /* of the one that is open */
void terminal_close(void);              /* of which nothing was changed yet */
bool terminal_size(unsigned *cols, unsigned *rows);

/*
 * Follows job control; call it before every poll and every read. Entering the foreground
 * saves the modes, drops type-ahead and sets our own. Leaving it puts the old modes back
 * only if the terminal is still exactly as we set it: then the shell did not bother (dash),
 * and nobody else would. If they differ, the shell or its next job has set its own, and
 * writing ours over them is the one thing that must not happen. False when the terminal
 * has hung up.
 */
bool terminal_follow(bool foreground);

/* Gives the terminal to a program that reads a line from it. terminal_follow takes it again. */
void terminal_lend(bool foreground);

/* One read; only after terminal_follow(true). What was typed is forgotten. */
enum terminal_key terminal_read(void);

/* Gives the terminal back, by the same rule; in the foreground it drops what was typed. */
void terminal_release(bool foreground);

/* For crash handlers and a forked child: async-signal-safe. */
void terminal_emergency(void);
void terminal_disown(void);

#endif
