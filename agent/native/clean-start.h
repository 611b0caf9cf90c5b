/*
 * The stage runs as root in a process whose folder, environment, descriptors, umask,
 * groups and signal state were chosen by the person who typed sudo. All of that is
 * dropped before anything else happens.
 */
#ifndef IDENTREE_CLEAN_START_H
#define IDENTREE_CLEAN_START_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

enum pam_name {
    PAM_ENV_USER,
    PAM_ENV_RUSER,
    PAM_ENV_RHOST,
    PAM_ENV_SERVICE,
    PAM_ENV_TTY,
    PAM_ENV_TYPE,
    PAM_ENV_COUNT, /* those above are also handed to the direct gate */
    SSH_ENV_CONNECTION = PAM_ENV_COUNT,
    SSH_ENV_AUTH_INFO,
    ENV_COUNT,
};

/* What was handed over, absent ones NULL, of any length. */
struct handed_over {
    const char *value[ENV_COUNT];
    bool duplicate; /* one of the names came twice */
};

/* NAME of what is handed over. */
const char *handed_over_name(enum pam_name name);

void take_handed_over(struct handed_over *out, char *const env[]);

/* The longest value anybody is told about, without its NUL. */
size_t handed_over_limit(enum pam_name name);

/* PAM_* as they came, without those beyond their limit, then PATH. */
#define DIRECT_ENV_SIZE (PAM_ENV_COUNT + 2)
void direct_environment(char *env[DIRECT_ENV_SIZE], const struct handed_over *from);

/* False if any step failed: refuse then, without a word to anybody. */
bool clean_start(void);

bool close_all_above_stderr(void);

/*
 * What a program of root may use, whatever the caller was given: one that could write no more than so many bytes would leave
 * half of what it wrote.
 */
void usual_limits(void);

/*
 * How soon a program of root gets a processor, a disk and its timers, whatever the caller was content with: what holds the
 * counter while it waits for its turn behind a loop of the caller's keeps it from the whole host. As far as it goes.
 */
void usual_turn(void);

/* Default action and nothing blocked; for the stage itself and before an exec. */
bool default_signals(void);

#endif
