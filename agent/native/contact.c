#define _GNU_SOURCE
#include "contact.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILE_MAX 65536u /* the agent takes no more */

static const char key[] = "IDENTREE_CONTACT";

struct span {
    const char *at;
    size_t len;
};

static bool blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static struct span trimmed(struct span text)
{
    while (text.len > 0 && blank(text.at[0])) {
        text.at++;
        text.len--;
    }
    while (text.len > 0 && blank(text.at[text.len - 1]))
        text.len--;
    return text;
}

static bool skip(struct span *text, const char *word)
{
    const size_t len = strlen(word);

    if (text->len < len || memcmp(text->at, word, len) != 0)
        return false;
    text->at += len;
    text->len -= len;
    return true;
}

/* The value of a line that names the contact, as the agent reads it. */
static bool value_of(struct span line, struct span *value)
{
    struct span text = trimmed(line);
    struct span exported = text;

    if (skip(&exported, "export") && exported.len > 0 && blank(exported.at[0]))
        text = trimmed(exported);
    if (!skip(&text, key))
        return false;
    text = trimmed(text);
    if (!skip(&text, "="))
        return false;
    text = trimmed(text);
    if (text.len >= 2 && (text.at[0] == '"' || text.at[0] == '\'') && text.at[text.len - 1] == text.at[0]) {
        text.at++;
        text.len -= 2;
    }
    *value = trimmed(text);
    return true;
}

/* A byte that begins a character of UTF-8. */
static bool begins(char c)
{
    return ((unsigned char)c & 0xc0u) != 0x80u;
}

static void copy(char out[CONTACT_SIZE], struct span value)
{
    size_t used = 0;

    for (size_t i = 0; i < value.len && used < CONTACT_SIZE - 1; i++) {
        const unsigned char c = (unsigned char)value.at[i];

        if (c < 0x20 || c == 0x7f)
            continue;
        /*
         * Control characters of ISO 6429 in UTF-8: some terminals obey them. Looked for in what is
         * written: the two bytes may have met only because one between them was left out.
         */
        if (c >= 0x80 && c < 0xa0 && used > 0 && (unsigned char)out[used - 1] == 0xc2) {
            used--;
            continue;
        }
        out[used++] = value.at[i];
    }
    /*
     * What was cut must not end within a character. A last 0xc2 may have stood between the bytes of another one,
     * and would have gone with what came after it.
     */
    for (bool bare = used == CONTACT_SIZE - 1; bare;) {
        const size_t whole = used;

        while (used > 0 && !begins(out[used - 1]))
            used--;
        bare = used == whole && used > 0 && (unsigned char)out[used - 1] == 0xc2;
        while (used > 0 && (unsigned char)out[used - 1] >= 0xc0)
            used--;
    }
    out[used] = '\0';
}

static size_t read_file(const char *path, uid_t owner, char *text)
{
    const int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    struct stat st;
    size_t len = 0;

    if (fd < 0)
        return 0;
    if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == owner && (st.st_mode & (S_IWGRP | S_IWOTH)) == 0)
        while (len < FILE_MAX) {
            const ssize_t n = read(fd, text + len, FILE_MAX - len);

            if (n > 0)
                len += (size_t)n;
            else if (n == 0 || errno != EINTR)
                break;
        }
    (void)close(fd);
    return len;
}

void contact_parse(const char *text, size_t size, char out[CONTACT_SIZE])
{
    struct span value;

    out[0] = '\0';
    for (size_t at = 0; at < size;) {
        const char *newline = memchr(text + at, '\n', size - at);
        const size_t len = newline != NULL ? (size_t)(newline - (text + at)) : size - at;

        if (value_of((struct span){text + at, len}, &value))
            copy(out, value);
        at += len + 1;
    }
}

void contact_read(const char *path, uid_t owner, char out[CONTACT_SIZE])
{
    static char text[FILE_MAX];

    contact_parse(text, read_file(path, owner, text), out);
}

bool contact_line(char *line, size_t size, const char *sentence, const char *contact)
{
    const int n = snprintf(line, size, "%s%s%s\n", sentence, contact[0] == '\0' ? "" : " Help: ", contact);

    return n > 0 && (size_t)n < size;
}
