/*
 * Whatever an agent sends, in whatever pieces it arrives: the reader must grant exactly
 * when the whole stream reads A, then any A, T, P (Q and K), then V "0", by a second and simpler
 * reading of the same bytes. The first input byte chooses the size of the pieces, and by its
 * highest bit whether the frames of the plugin's conversation count.
 */
#include "hook-client.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* True when the stream ends with a verdict or a violation, which event then is. */
static bool expected(const uint8_t *p, size_t n, bool plugin, enum hook_event *event)
{
    bool accepted = false;

    *event = HOOK_BROKEN;
    for (;;) {
        size_t len;

        if (n == 0)
            return false;
        if (*p != 'A' && (!accepted || (*p != 'T' && *p != 'P' && *p != 'V' && !(plugin && (*p == 'Q' || *p == 'K')))))
            return true;
        if (n < 3)
            return false;
        len = (size_t)p[1] * 256 + p[2];
        if (len > 8192 || ((*p == 'A' || *p == 'Q') && len > 0) || (*p == 'P' && (len == 0 || len > 513)))
            return true;
        if (n < 3 + len)
            return false;
        if (*p == 'P' && p[3] != '0' && p[3] != '1')
            return true;
        if (*p == 'V') {
            *event = len == 1 && p[3] == '0' ? HOOK_GRANTED : HOOK_REFUSED;
            return true;
        }
        accepted = true;
        p += 3 + len;
        n -= 3 + len;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct hook_reader reader;
    static uint8_t clean[HOOK_MAX_PAYLOAD];
    enum hook_event event, last;
    bool over = false, plugin;
    size_t piece, at = 0;

    if (size == 0)
        return 0;
    plugin = (data[0] & 0x80) != 0;
    piece = (data[0] & 0x7f) == 0 ? HOOK_MAX_PAYLOAD : data[0] & 0x7f;
    data++;
    size--;
    hook_reader_init(&reader, plugin);
    while (at < size && !over) {
        size_t n = hook_reader_want(&reader);

        if (n == 0 || reader.len + n > sizeof reader.buf)
            abort();
        n = n < piece ? n : piece;
        n = n < size - at ? n : size - at;
        memcpy(reader.buf + reader.len, data + at, n);
        at += n;
        event = HOOK_GRANTED; /* so that one that is not written is noticed */
        if (!hook_reader_push(&reader, n, &event)) {
            if (event != HOOK_BROKEN)
                abort(); /* a caller that does not look would take it for a frame */
            continue;
        }
        over = event == HOOK_GRANTED || event == HOOK_REFUSED || event == HOOK_BROKEN;
        if (event == HOOK_TEXT || event == HOOK_PROMPT) {
            size_t kept = hook_clean_text(clean, reader.text, reader.text_len);

            if (kept > reader.text_len)
                abort();
            for (size_t i = 0; i < kept; i++)
                if ((clean[i] < 0x20 && clean[i] != '\t' && clean[i] != 0x1b) || clean[i] == 0x7f)
                    abort();
        }
    }
    if (over != expected(data, size, plugin, &last) || (over && event != last))
        abort();
    if (over) {
        reader.buf[0] = 'A';
        if (!hook_reader_push(&reader, 1, &event) || event != HOOK_BROKEN)
            abort(); /* nothing may follow a verdict */
    }
    return 0;
}
