/*
 * What ends the wait from the person's side while sudo itself waits: signals of the terminal
 * and of others, and a terminal that has gone. The terminal keeps its modes, so that sudo may
 * be killed at any moment; the process keeps its handlers. For the time of the wait only,
 * signals that sudo would act on are blocked and read.
 */
#ifndef IDENTREE_PLUGIN_WAIT_H
#define IDENTREE_PLUGIN_WAIT_H

#include "outcome.h"

#include <signal.h>
#include <stdbool.h>

struct plugin_wait {
    int signals;   /* signalfd */
    int tty;       /* the controlling terminal, -1 without one */
    bool relayed;  /* sudo may have made the terminal raw, to hand its keys to a running command */
    sigset_t mask;    /* as sudo had it */
    sigset_t blocked; /* beside those, while it waits */
};

/*
 * `relayed`: a command runs already, so that Ctrl-C may be a key and no signal. False when nothing
 * could be watched; then nothing is changed either, and sudo must refuse.
 */
bool plugin_wait_begin(struct plugin_wait *wait, bool relayed);

/* True when sudo is in the foreground of its terminal. */
bool plugin_wait_foreground(const struct plugin_wait *wait);

/* Waits until fd (-1: nobody) can be read, something ends the wait, or ms have passed. */
enum cancel plugin_wait_for(const struct plugin_wait *wait, int fd, int ms, bool *readable);

/*
 * Hands signals and terminal to sudo, which reads a line from it: Ctrl-C has to end that as at its
 * own prompt. What was typed before the prompt could be seen is dropped.
 */
void plugin_wait_pause(const struct plugin_wait *wait);
void plugin_wait_go_on(const struct plugin_wait *wait);

/* Everything as it was. `waited`: drops what was typed meanwhile, which was meant for nobody. */
void plugin_wait_end(struct plugin_wait *wait, bool waited);

#endif
