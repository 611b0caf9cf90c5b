/* What the plugin tells the agent beside the question: that this sudo asks by itself, and what became of it. */
#ifndef IDENTREE_PLUGIN_AGENT_H
#define IDENTREE_PLUGIN_AGENT_H

#include "hook-client.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Room for the longest record there is, so that nobody's choice of words keeps what became of it from being told. */
#define TOKEN_MAX 131072

/* Parts of a conversation; the agent's list is agent/src/gate/plugin-parts.ts. */
#define PART_SETTINGS 's'
#define PART_USER_INFO 'u'
#define PART_COMMAND_INFO 'c'
#define PART_ARGV 'a'
#define PART_ENVIRONMENT 'e'
#define PART_TOKEN 'k'
#define PART_REASON 'r'

/* A request, and by what another agent, or another conversation, knows it again. */
struct request {
    uint8_t token[TOKEN_MAX];
    size_t token_len;
    bool known;    /* a token has arrived whole */
    bool overflow; /* it does not fit: then it cannot go on elsewhere */
};

/* The hello of this process. False when it cannot say who it is: then nothing may be asked. */
bool begin_hello(struct hook_hello *hello, const char *mode);

bool send_hello(int fd, struct hook_hello *hello, int timeout_ms);

/* A descriptor, or what hook_connect says. */
int connect_agent(void);

/*
 * Tells the agent that this sudo asks by itself, and waits for no answer: the PAM stage hears what
 * came of it. Where nothing did it asks too: once too often is better than never.
 */
void register_sudo(void);

/* What became of a released command. */
struct report {
    const char *event;
    int status_type; /* as audit close has it */
    int status;
    const char *reason; /* NULL: none */
    int64_t released_at;
};

/* Tells the agent what became of a request. Nobody waits for what comes of it. */
void report_run(const struct request *request, const struct report *report);

#endif
