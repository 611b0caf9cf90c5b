/*
 * What sudo has told the plugin when it opened it, how words reach the person, and where the plugin
 * finds what it needs. sudo is one thread, and one process one run of it.
 */
#ifndef IDENTREE_PLUGIN_SESSION_H
#define IDENTREE_PLUGIN_SESSION_H

#include "outcome.h"
#include "sudo-api.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct plugin_session {
    sudo_conv_t conversation;
    unsigned int api; /* version of the plugin interface of this sudo */
    char *const *settings;
    char *const *user_info;
    bool root; /* who runs sudo is root already, and there is nothing to approve */
};

extern struct plugin_session session;

/* Only tests have others than those of a release. */
struct plugin_setting {
    const char *socket_dir;
    const char *direct_program;
    const char *client_conf;
    uid_t agent_uid;
    int start_ms;
    int back_ms;
    int silence_ms;
    int start_within_ms;
};

extern struct plugin_setting setting;

/* Keeps what sudo tells at an open; the lists stay sudo's. */
void session_open(unsigned int version, sudo_conv_t conversation, char *const settings[], char *const user_info[]);

/* Whether a list of sudo's, of NAME=value, says that NAME is true. */
bool is_true(char *const list[], const char *name);

/*
 * To the terminal where there is one, else to stderr, at once; never to stdout, which belongs
 * to the command. A conversation that fails has nobody to tell.
 */
void say(const char *line);

/* A line of an agent, which may hold anything. */
void say_text(const uint8_t *text, size_t len);

/* The last line of a refusal that no agent explains: why, and whom to call. */
void say_refused(const char *why);

/* How a question ended, where no agent has said it. */
void say_ending(struct ending ending);

#endif
