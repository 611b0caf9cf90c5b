/*
 * What the PAM module and the stage that it has started say to each other: messages on a socket
 * pair of packets, one letter and what belongs to it. README.md has the list.
 */
#ifndef IDENTREE_RELAY_H
#define IDENTREE_RELAY_H

#include "hook-client.h"

#define RELAY_MAX (1 + HOOK_MAX_PAYLOAD)

/* Zero is never a yes, and what is no message of that side is none at all. */
enum relay_event {
    RELAY_BROKEN,
    RELAY_TEXT,      /* stage: a line for the person */
    RELAY_ERROR,     /* stage: the same, which must never be among the output of a command */
    RELAY_PROMPT,    /* stage: a line has to be typed, see echo */
    RELAY_REFUSED,   /* stage: the last word */
    RELAY_TYPED,     /* module: what was typed */
    RELAY_NO_ANSWER, /* module: nothing will be */
    RELAY_GRANTED,   /* stage: the last word */
};

_Static_assert(RELAY_BROKEN == 0 && RELAY_GRANTED != 0, "zero must never mean yes");

struct relay_message {
    enum relay_event event;
    const uint8_t *bytes; /* of the packet */
    size_t len;
    bool echo;
};

/* Reads one packet. from_stage: it came from the stage, else from the module. */
struct relay_message relay_parse(const uint8_t *packet, size_t len, bool from_stage);

/* Sends one packet at once, or not at all. */
bool relay_send(int fd, char type, const uint8_t *bytes, size_t len);

/* echo is told by what begins the prompt. */
bool relay_send_prompt(int fd, bool echo, const uint8_t *text, size_t len);

#endif
