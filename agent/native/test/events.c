/* When the reader sees a grant: with the last byte of the verdict, and never before or again. */
#include "hook-client.h"

#include <stdio.h>
#include <string.h>

static int failures;

static void check(bool held, const char *what)
{
    if (held)
        return;
    printf("%s\n", what);
    failures++;
}

int main(void)
{
    static const uint8_t stream[] = {'A', 0, 0, 'V', 0, 1, '0'};
    static struct hook_reader reader; /* zeroed, and nothing more */
    enum hook_event event;

    memset(&event, 0, sizeof event);
    check(event != HOOK_GRANTED, "a zeroed event is a grant");
    for (size_t i = 0; i < sizeof stream; i++) {
        bool whole;

        reader.buf[reader.len] = stream[i];
        event = HOOK_GRANTED;
        whole = hook_reader_push(&reader, 1, &event);
        check(whole == (i == 2 || i == 6), "a frame ends where it does not");
        check((event == HOOK_GRANTED) == (i == 6), "a grant is seen before its last byte, or not then");
    }
    event = HOOK_GRANTED;
    check(hook_reader_push(&reader, 0, &event) && event == HOOK_BROKEN, "something follows a verdict");
    return failures == 0 ? 0 : 1;
}
