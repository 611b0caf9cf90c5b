/* Which endings permit a command: memory that nobody wrote does not, nor does anything but a whole yes. */
#include "outcome.h"

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
    struct ending ending;

    memset(&ending, 0, sizeof ending);
    check(!permits(ending), "a zeroed ending permits");
    for (int outcome = -1; outcome <= GRANTED + 1; outcome++)
        for (int cancel = -1; cancel <= CANCEL_SIGNAL + 1; cancel++) {
            ending.outcome = (enum outcome)outcome;
            ending.cancel = (enum cancel)cancel;
            check(permits(ending) == (outcome == GRANTED && cancel == CANCEL_NOTHING),
                  "an ending that is no grant permits, or a grant does not");
        }
    return failures == 0 ? 0 : 1;
}
