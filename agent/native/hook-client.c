#define _GNU_SOURCE
#include "hook-client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

int64_t hook_now_ms(void)
{
    struct timespec ts;

    if (clock_gettime(CLOCK_MONOTONIC, &ts) != 0)
        return INT64_MAX; /* every deadline has passed: the caller gives up */
    return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

static void hello_put(struct hook_hello *hello, const void *data, size_t len)
{
    if (hello->overflow || len > sizeof hello->bytes - hello->len) {
        hello->overflow = true;
        return;
    }
    memcpy(hello->bytes + hello->len, data, len);
    hello->len += len;
}

void hook_hello_begin(struct hook_hello *hello)
{
    memset(hello, 0, sizeof *hello);
    hello->len = HOOK_HEADER;
}

void hook_hello_text(struct hook_hello *hello, const char *key, const char *value, size_t max)
{
    size_t len;

    if (value == NULL)
        return;
    len = strnlen(value, max + 1);
    hello_put(hello, key, strlen(key));
    if (len > max) {
        hello_put(hello, "_truncated=1", sizeof "_truncated=1");
        return;
    }
    hello_put(hello, "=", 1);
    hello_put(hello, value, len);
    hello_put(hello, "", 1);
}

void hook_hello_number(struct hook_hello *hello, const char *key, unsigned long long value)
{
    char digits[24];
    int n = snprintf(digits, sizeof digits, "%llu", value);

    if (n <= 0 || (size_t)n >= sizeof digits) {
        hello->overflow = true;
        return;
    }
    hook_hello_text(hello, key, digits, sizeof digits);
}

bool hook_hello_end(struct hook_hello *hello)
{
    size_t payload = hello->len - HOOK_HEADER;

    if (hello->overflow)
        return false;
    hello->bytes[0] = 'H';
    hello->bytes[1] = (uint8_t)(payload >> 8);
    hello->bytes[2] = (uint8_t)(payload & 0xff);
    return true;
}

void hook_reader_init(struct hook_reader *reader, bool plugin)
{
    memset(reader, 0, sizeof *reader);
    reader->plugin = plugin;
}

static bool known_type(const struct hook_reader *reader, uint8_t type)
{
    return type == 'A' || type == 'T' || type == 'P' || type == 'V' ||
           (reader->plugin && (type == 'Q' || type == 'K'));
}

static size_t payload_size(const struct hook_reader *reader)
{
    return (size_t)reader->buf[1] << 8 | reader->buf[2];
}

static bool possible_size(uint8_t type, size_t size)
{
    switch (type) {
    case 'A':
    case 'Q':
        return size == 0;
    case 'P':
        return size >= 1 && size <= 1 + HOOK_MAX_PROMPT;
    default:
        return size <= HOOK_MAX_PAYLOAD;
    }
}

size_t hook_reader_want(const struct hook_reader *reader)
{
    if (reader->len < HOOK_HEADER)
        return HOOK_HEADER - reader->len;
    return HOOK_HEADER + payload_size(reader) - reader->len;
}

/* Nothing may follow what was no frame of this protocol, nor a verdict. */
static bool close_with(struct hook_reader *reader, enum hook_event last, enum hook_event *event)
{
    reader->closed = true;
    reader->len = 0;
    *event = last;
    return true;
}

bool hook_reader_push(struct hook_reader *reader, size_t n, enum hook_event *event)
{
    size_t size;
    uint8_t type;

    *event = HOOK_BROKEN; /* for a caller that forgets to look at what is returned */
    if (reader->closed || n > hook_reader_want(reader))
        return close_with(reader, HOOK_BROKEN, event);
    reader->len += n;
    if (reader->len == 0)
        return false;

    /* Judged from the first byte on, so that a stranger's stream ends at once. */
    type = reader->buf[0];
    if (!known_type(reader, type))
        return close_with(reader, HOOK_BROKEN, event);
    if (!reader->accepted && type != 'A')
        return close_with(reader, HOOK_BROKEN, event);
    if (reader->len < HOOK_HEADER)
        return false;
    size = payload_size(reader);
    if (!possible_size(type, size))
        return close_with(reader, HOOK_BROKEN, event);
    if (reader->len < HOOK_HEADER + size)
        return false;

    if (type == 'V')
        return close_with(
            reader, size == 1 && reader->buf[HOOK_HEADER] == '0' ? HOOK_GRANTED : HOOK_REFUSED, event);
    reader->len = 0;
    if (type == 'A') {
        reader->accepted = true;
        *event = HOOK_ALIVE;
    } else if (type == 'Q') {
        *event = HOOK_READY;
    } else if (type == 'P') {
        const uint8_t echo = reader->buf[HOOK_HEADER];

        if (echo != '0' && echo != '1')
            return close_with(reader, HOOK_BROKEN, event);
        reader->echo = echo == '1';
        reader->text = reader->buf + HOOK_HEADER + 1;
        reader->text_len = size - 1;
        *event = HOOK_PROMPT;
    } else {
        reader->text = reader->buf + HOOK_HEADER;
        reader->text_len = size;
        *event = type == 'K' ? HOOK_KEEP : HOOK_TEXT;
    }
    return true;
}

size_t hook_clean_text(uint8_t *dst, const uint8_t *src, size_t len)
{
    size_t kept = 0;

    for (size_t i = 0; i < len; i++) {
        uint8_t c = src[i];

        if ((c < 0x20 && c != '\t' && c != 0x1b) || c == 0x7f)
            continue;
        dst[kept++] = c;
    }
    return kept;
}

static bool private_directory(int dir, uid_t owner)
{
    struct stat st;

    return fstat(dir, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == owner &&
           (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

static bool peer_is(int fd, uid_t owner)
{
    struct ucred peer;
    socklen_t len = sizeof peer;

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) == 0 && len == sizeof peer &&
           peer.uid == owner;
}

int hook_connect(const char *dir, const char *name, uid_t owner)
{
    struct sockaddr_un addr = {.sun_family = AF_UNIX};
    int result = HOOK_ABSENT;
    int dir_fd, fd, n;

    dir_fd = open(dir, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (dir_fd < 0)
        return errno == ELOOP || errno == ENOTDIR ? HOOK_UNTRUSTED : HOOK_ABSENT;
    if (!private_directory(dir_fd, owner)) {
        (void)close(dir_fd);
        return HOOK_UNTRUSTED;
    }
    /* Through the descriptor that was checked: the path cannot be swapped in between. */
    n = snprintf(addr.sun_path, sizeof addr.sun_path, "/proc/self/fd/%d/%s", dir_fd, name);
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0 && n > 0 && (size_t)n < sizeof addr.sun_path &&
        connect(fd, (const struct sockaddr *)&addr, sizeof addr) == 0)
        result = peer_is(fd, owner) ? fd : HOOK_UNTRUSTED;
    if (fd >= 0 && result != fd)
        (void)close(fd);
    (void)close(dir_fd);
    return result;
}

bool hook_send(int fd, const uint8_t *bytes, size_t len, int timeout_ms)
{
    int64_t deadline = hook_now_ms() + timeout_ms;

    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (n > 0) {
            bytes += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            struct pollfd p = {.fd = fd, .events = POLLOUT};
            int64_t left = deadline - hook_now_ms();

            if (left <= 0 || poll(&p, 1, (int)left) == 0)
                return false;
        } else if (n == 0 || errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool hook_send_mark(int fd, char type, int timeout_ms)
{
    const uint8_t frame[HOOK_HEADER] = {(uint8_t)type};

    return hook_send(fd, frame, sizeof frame, timeout_ms);
}

/* A 'D' frame under construction: the header, the letter of its part, and used bytes. */
struct part_frame {
    uint8_t bytes[HOOK_HEADER + HOOK_MAX_PAYLOAD];
    size_t used;
};

static bool send_frame(int fd, char part, struct part_frame *frame, int timeout_ms)
{
    const size_t size = 1 + frame->used;

    if (frame->used == 0)
        return true;
    frame->bytes[0] = 'D';
    frame->bytes[1] = (uint8_t)(size >> 8);
    frame->bytes[2] = (uint8_t)(size & 0xff);
    frame->bytes[HOOK_HEADER] = (uint8_t)part;
    frame->used = 0;
    return hook_send(fd, frame->bytes, HOOK_HEADER + size, timeout_ms);
}

static bool add_to_frame(int fd, char part, struct part_frame *frame, const uint8_t *bytes,
                         size_t len, int timeout_ms)
{
    while (len > 0) {
        const size_t room = HOOK_MAX_PAYLOAD - 1 - frame->used;
        const size_t n = len < room ? len : room;

        memcpy(frame->bytes + HOOK_HEADER + 1 + frame->used, bytes, n);
        frame->used += n;
        bytes += n;
        len -= n;
        if (n == room && !send_frame(fd, part, frame, timeout_ms))
            return false;
    }
    return true;
}

bool hook_send_part(int fd, char part, const uint8_t *bytes, size_t len, int timeout_ms)
{
    struct part_frame frame;

    frame.used = 0;
    return add_to_frame(fd, part, &frame, bytes, len, timeout_ms) &&
           send_frame(fd, part, &frame, timeout_ms);
}

bool hook_send_strings(int fd, char part, char *const strings[], int timeout_ms)
{
    struct part_frame frame;

    frame.used = 0;
    for (; strings != NULL && *strings != NULL; strings++)
        if (!add_to_frame(fd, part, &frame, (const uint8_t *)*strings, strlen(*strings) + 1, timeout_ms))
            return false;
    return send_frame(fd, part, &frame, timeout_ms);
}

bool hook_send_typed(int fd, const char *typed, size_t len, int timeout_ms)
{
    uint8_t frame[HOOK_HEADER + HOOK_MAX_TYPED];
    bool sent;

    if (len > HOOK_MAX_TYPED)
        return false;
    frame[0] = 'S';
    frame[1] = (uint8_t)(len >> 8);
    frame[2] = (uint8_t)(len & 0xff);
    memcpy(frame + HOOK_HEADER, typed, len);
    sent = hook_send(fd, frame, HOOK_HEADER + len, timeout_ms);
    explicit_bzero(frame, sizeof frame);
    return sent;
}

bool hook_send_cancel(int fd, const char *reason, int timeout_ms)
{
    uint8_t frame[HOOK_HEADER + 16] = {'C'};
    size_t len = strlen(reason);

    if (len > sizeof frame - HOOK_HEADER)
        return false;
    frame[2] = (uint8_t)len;
    memcpy(frame + HOOK_HEADER, reason, len);
    return hook_send(fd, frame, HOOK_HEADER + len, timeout_ms);
}
