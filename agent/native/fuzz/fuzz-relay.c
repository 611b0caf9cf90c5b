/*
 * Whatever the other side of the relay sends in one packet: the module must read a yes exactly from
 * "V0" of the stage, the stage never one, and no message may reach beyond its packet. The first
 * input byte chooses the side by its lowest bit.
 */
#include "relay.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct relay_message message;
    bool from_stage;
    uint8_t *packet;

    if (size == 0)
        return 0;
    from_stage = (data[0] & 1) != 0;
    data++;
    size--;
    packet = calloc(1, size > 0 ? size : 1); /* so that the sanitizer sees its end */
    if (packet == NULL)
        return 0;
    if (size > 0)
        memcpy(packet, data, size);
    message = relay_parse(packet, size, from_stage);
    if ((message.event == RELAY_GRANTED) != (from_stage && size == 2 && memcmp(data, "V0", 2) == 0))
        abort();
    if (message.event != RELAY_BROKEN &&
        (message.event == RELAY_TYPED || message.event == RELAY_NO_ANSWER) == from_stage)
        abort();
    if (message.event == RELAY_TYPED && message.len > HOOK_MAX_TYPED)
        abort();
    if (message.event == RELAY_PROMPT && message.len > HOOK_MAX_PROMPT)
        abort();
    if (message.event != RELAY_BROKEN && message.len > 0 &&
        (message.bytes < packet || message.bytes + message.len != packet + size))
        abort();
    free(packet);
    return 0;
}
