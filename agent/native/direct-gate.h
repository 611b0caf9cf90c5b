/* The way in when the resident agent does not answer: one agent process for one question. */
#ifndef IDENTREE_DIRECT_GATE_H
#define IDENTREE_DIRECT_GATE_H

#include <stdbool.h>
#include <sys/types.h>

struct direct_gate {
    pid_t pid;
    int fd; /* the same protocol as on the agent's socket */
};

/* Starts program with exactly env, a socket as stdin and nothing else. False if it cannot. */
bool direct_gate_start(struct direct_gate *gate, const char *program, char *const env[]);

/* Waits up to grace_ms for it to end by itself (it may still have a challenge to withdraw),
 * then ends it. Closes fd. */
void direct_gate_end(struct direct_gate *gate, int grace_ms);

#endif
