/*
 * A client.conf of any bytes: what is read from it is what a second and simpler reading finds, fits,
 * holds nothing that a terminal obeys and does not end within a character; and the line that it
 * becomes part of is one line.
 */
#include "contact.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define MAX_INPUT 65536u

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char key[] = "IDENTREE_CONTACT";

static bool blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const uint8_t **from, const uint8_t **to)
{
    while (*from < *to && blank(**from))
        (*from)++;
    while (*from < *to && blank((*to)[-1]))
        (*to)--;
}

static bool starts(const uint8_t *from, const uint8_t *to, const char *word)
{
    return (size_t)(to - from) >= strlen(word) && memcmp(from, word, strlen(word)) == 0;
}

/* One line; true when it names a contact, which is between from and to then. */
static bool names(const uint8_t **from, const uint8_t **to)
{
    trim(from, to);
    if (starts(*from, *to, "export") && *to - *from > 6 && blank((*from)[6]))
        *from += 6;
    trim(from, to);
    if (!starts(*from, *to, key))
        return false;
    *from += strlen(key);
    trim(from, to);
    if (!starts(*from, *to, "="))
        return false;
    (*from)++;
    trim(from, to);
    if (*to - *from >= 2 && (**from == '"' || **from == '\'') && (*to)[-1] == **from) {
        (*from)++;
        (*to)--;
    }
    trim(from, to);
    return true;
}

/* Takes what a terminal obeys out of the bytes, until there is none. */
static size_t clean(uint8_t *bytes, size_t len)
{
    size_t kept = 0;

    for (size_t i = 0; i < len; i++)
        if (bytes[i] >= 0x20 && bytes[i] != 0x7f)
            bytes[kept++] = bytes[i];
    for (size_t i = 0; i + 1 < kept;) {
        if (bytes[i] == 0xc2 && bytes[i + 1] >= 0x80 && bytes[i + 1] < 0xa0) {
            memmove(bytes + i, bytes + i + 2, kept - i - 2);
            kept -= 2;
            i = i > 0 ? i - 1 : 0;
        } else {
            i++;
        }
    }
    return kept;
}

static void check_line(const char *contact)
{
    static const char sentence[] = "identree: refused.";
    static char line[CONTACT_SIZE + sizeof sentence + 16];
    size_t len;

    if (!contact_line(line, sizeof line, sentence, contact))
        abort();
    len = strlen(line);
    if (strchr(line, '\n') != line + len - 1 || strncmp(line, sentence, strlen(sentence)) != 0)
        abort();
    /* Where it does not fit, nothing is said. */
    if (contact_line(line, len, sentence, contact))
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t expected[MAX_INPUT];
    char out[CONTACT_SIZE];
    size_t whole = 0, len, uncleaned;

    if (size > MAX_INPUT)
        return 0;
    memset(out, 'x', sizeof out); /* so that an end that is not written is noticed */
    contact_parse((const char *)data, size, out);
    if (memchr(out, '\0', sizeof out) == NULL)
        abort();
    for (size_t at = 0, end; at < size; at = end + 1) {
        const uint8_t *from, *to;

        for (end = at; end < size && data[end] != '\n'; end++)
            continue;
        from = data + at;
        to = data + end;
        if (names(&from, &to)) {
            whole = (size_t)(to - from);
            memcpy(expected, from, whole);
        }
    }
    uncleaned = whole;
    whole = clean(expected, whole);
    len = strlen(out);
    if (len > whole || memcmp(out, expected, len) != 0)
        abort();
    if (len < whole) {
        const bool ascii = len == 0 || expected[len - 1] < 0x80;

        /* Cut because it is too long, and never within a character. */
        if (uncleaned < CONTACT_SIZE - 1 || (!ascii && (expected[len] & 0xc0) == 0x80))
            abort();
    }
    check_line(out);
    return 0;
}
