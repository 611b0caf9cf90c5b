/*
 * What a conversation with an agent came to.
 *
 * Zero is never a yes. Memory that nobody wrote reads as zero (the compiler sees to that),
 * and so does a field that was forgotten: each of them has to refuse.
 */
#ifndef IDENTREE_OUTCOME_H
#define IDENTREE_OUTCOME_H

#include <stdbool.h>

enum outcome {
    REFUSED, /* the agent has said why */
    BROKEN,
    SILENT,
    NO_AGENT,
    CANCELLED,
    GRANTED,
};

/* What ended the wait from our side. A type of its own: that nothing has is no verdict. */
enum cancel {
    CANCEL_NOTHING,
    CANCEL_INTERRUPT,
    CANCEL_HANGUP,
    CANCEL_PARENT,
    CANCEL_SIGNAL,
    CANCEL_NOPROMPT, /* something was to be typed, and nobody can be asked for it */
};

struct ending {
    enum outcome outcome;
    enum cancel cancel; /* by what it was CANCELLED */
};

_Static_assert(REFUSED == 0 && GRANTED != 0, "zero must never mean yes");

/* The only place where an ending becomes a yes. */
static inline bool permits(struct ending ending)
{
    return ending.outcome == GRANTED && ending.cancel == CANCEL_NOTHING;
}

#endif
