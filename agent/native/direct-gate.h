/* The way in when the resident agent does not answer: one agent process for one question. */
#ifndef IDENTREE_DIRECT_GATE_H
#define IDENTREE_DIRECT_GATE_H

#include "child.h"

/* Starts program with exactly env; its fd speaks the protocol of the agent's socket. False if it cannot. */
bool direct_gate_start(struct child *gate, const char *program, char *const env[]);

#endif
