#define _GNU_SOURCE
#include "relay.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

struct relay_message relay_parse(const uint8_t *packet, size_t len, bool from_stage)
{
    struct relay_message message = {.event = RELAY_BROKEN};

    if (len == 0 || len > RELAY_MAX)
        return message;
    message.bytes = packet + 1;
    message.len = len - 1;
    switch (packet[0]) {
    case 'T':
        if (from_stage)
            message.event = RELAY_TEXT;
        break;
    case 'E':
        if (from_stage)
            message.event = RELAY_ERROR;
        break;
    case 'P':
        if (!from_stage || message.len < 1 || message.len > 1 + HOOK_MAX_PROMPT ||
            (packet[1] != '0' && packet[1] != '1'))
            break;
        message.event = RELAY_PROMPT;
        message.echo = packet[1] == '1';
        message.bytes++;
        message.len--;
        break;
    case 'V':
        if (from_stage)
            message.event = message.len == 1 && packet[1] == '0' ? RELAY_GRANTED : RELAY_REFUSED;
        break;
    case 'S':
        if (!from_stage && message.len <= HOOK_MAX_TYPED)
            message.event = RELAY_TYPED;
        break;
    case 'N':
        if (!from_stage && message.len == 0)
            message.event = RELAY_NO_ANSWER;
        break;
    default:
        break;
    }
    return message;
}

bool relay_send(int fd, char type, const uint8_t *bytes, size_t len)
{
    uint8_t packet[RELAY_MAX];
    ssize_t n;

    if (len > sizeof packet - 1)
        return false;
    packet[0] = (uint8_t)type;
    if (len > 0)
        memcpy(packet + 1, bytes, len);
    do
        n = send(fd, packet, 1 + len, MSG_NOSIGNAL | MSG_DONTWAIT);
    while (n < 0 && errno == EINTR);
    explicit_bzero(packet, 1 + len); /* what was typed goes this way */
    return n == (ssize_t)(1 + len);
}

bool relay_send_prompt(int fd, bool echo, const uint8_t *text, size_t len)
{
    uint8_t prompt[1 + HOOK_MAX_PROMPT];

    if (len > HOOK_MAX_PROMPT)
        return false;
    prompt[0] = echo ? '1' : '0';
    memcpy(prompt + 1, text, len);
    return relay_send(fd, 'P', prompt, 1 + len);
}
