/*
 * Client side of the hook protocol: what a native hook (PAM stage, sudo approval
 * plugin) and the identree agent say to each other. README.md is the normative page.
 *
 * Nothing here keeps global state, allocates, or touches signals, the environment or
 * the flags of a descriptor: the approval plugin runs inside sudo's own process and
 * has to leave it as it found it.
 */
#ifndef IDENTREE_HOOK_CLIENT_H
#define IDENTREE_HOOK_CLIENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define HOOK_HEADER 3u
#define HOOK_MAX_PAYLOAD 8192u
#define HOOK_MAX_PROMPT 512u
#define HOOK_MAX_TYPED 1024u

/* The hello frame under construction. */
struct hook_hello {
    uint8_t bytes[HOOK_HEADER + HOOK_MAX_PAYLOAD];
    size_t len;
    bool overflow;
};

void hook_hello_begin(struct hook_hello *hello);

/*
 * Adds key=value. An absent value (NULL) adds nothing. A value longer than max is left
 * out and announced as key_truncated=1: half a name is a different name, and the agent
 * must be able to tell "absent" from "not shown".
 */
void hook_hello_text(struct hook_hello *hello, const char *key, const char *value, size_t max);
void hook_hello_number(struct hook_hello *hello, const char *key, unsigned long long value);

/* False when the fields did not fit; such a hello must not be sent. */
bool hook_hello_end(struct hook_hello *hello);

/* Zero is never a yes, and a frame that is not complete is no event. */
enum hook_event {
    HOOK_BROKEN,  /* not this protocol: refuse */
    HOOK_REFUSED, /* 'V' with anything but "0" */
    HOOK_ALIVE,   /* 'A' */
    HOOK_TEXT,    /* 'T', see text and text_len */
    HOOK_PROMPT,  /* 'P', see text, text_len and echo */
    HOOK_READY,   /* 'Q': the agent has a verdict and asks whether it is used at once (plugin) */
    HOOK_KEEP,    /* 'K', see text and text_len: a piece of what goes on elsewhere (plugin) */
    HOOK_GRANTED, /* 'V' with payload "0" */
};

_Static_assert(HOOK_BROKEN == 0 && HOOK_GRANTED != 0, "zero must never mean yes");

/* Reads exactly one frame at a time, so bytes after a verdict are never swallowed unseen. */
struct hook_reader {
    uint8_t buf[HOOK_HEADER + HOOK_MAX_PAYLOAD];
    size_t len;
    bool plugin;   /* the frames of the plugin's conversation are understood too */
    bool accepted; /* the first 'A' has arrived */
    bool closed;   /* a verdict or a violation has been seen: nothing may follow */
    const uint8_t *text;
    size_t text_len;
    bool echo; /* what is typed at the prompt may be seen */
};

void hook_reader_init(struct hook_reader *reader, bool plugin);

/* Bytes the caller may put at buf + len before hook_reader_push; never 0. */
size_t hook_reader_want(const struct hook_reader *reader);

/* Takes n bytes. False while the frame is not complete; event is HOOK_BROKEN until it is. */
bool hook_reader_push(struct hook_reader *reader, size_t n, enum hook_event *event);

/* Copies text without the control bytes a terminal acts on (all but TAB and ESC). */
size_t hook_clean_text(uint8_t *dst, const uint8_t *src, size_t len);

#define HOOK_ABSENT (-1)    /* nobody listens there */
#define HOOK_UNTRUSTED (-2) /* another user could be listening there */

/*
 * Connects to dir/name. dir must be a real directory (no symlink) of owner without any
 * right for others, and the listener must run as owner: being able to bind or connect
 * there is the whole authority of the socket. Returns a descriptor or one of the above.
 */
int hook_connect(const char *dir, const char *name, uid_t owner);

/* Sends all bytes within timeout_ms, without SIGPIPE. */
bool hook_send(int fd, const uint8_t *bytes, size_t len, int timeout_ms);

/* Sends a frame without a payload. */
bool hook_send_mark(int fd, char type, int timeout_ms);

/*
 * Sends bytes as 'D' frames, each with the letter of its part first. A part ends where
 * another begins; an empty one sends nothing.
 */
bool hook_send_part(int fd, char part, const uint8_t *bytes, size_t len, int timeout_ms);

/*
 * The same for a list of strings that ends with NULL, each followed by its NUL; as many as fit
 * into one frame, since each frame wakes the agent.
 */
bool hook_send_strings(int fd, char part, char *const strings[], int timeout_ms);

/* Sends 'S' with what a person typed, and keeps no copy. False also when it is too long. */
bool hook_send_typed(int fd, const char *typed, size_t len, int timeout_ms);

/* Sends 'C' with reason: interrupt, hangup, parent, signal or noprompt. */
bool hook_send_cancel(int fd, const char *reason, int timeout_ms);

/* Milliseconds on the monotonic clock. */
int64_t hook_now_ms(void);

#endif
