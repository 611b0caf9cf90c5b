/* The plugin's question to an agent, from the first connection to the end of the wait. */
#ifndef IDENTREE_PLUGIN_ASK_H
#define IDENTREE_PLUGIN_ASK_H

#include "outcome.h"
#include "plugin-agent.h"
#include "plugin-wait.h"

/* A command that sudo would execute, as sudo told it. */
struct question {
    char *const *command_info;
    char *const *argv;
    char *const *environment;
    bool intercepted;
    struct request *request;
    const struct plugin_wait *wait;
    bool told;  /* the person has been told to wait */
    bool ready; /* an agent was told that a verdict is used at once */
};

/* Asks, and asks again after an agent that went away: the token makes it the same request. */
struct ending ask(struct question *q);

#endif
