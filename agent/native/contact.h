/*
 * Whom people call after a refusal, as an operator has named it in client.conf. The agent says it with its own refusals;
 * this is for those that are said because there is no agent.
 */
#ifndef IDENTREE_CONTACT_H
#define IDENTREE_CONTACT_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#ifndef IDENTREE_CLIENT_CONF
#define IDENTREE_CLIENT_CONF "/etc/identree/client.conf"
#endif

#define CONTACT_SIZE 801u /* 200 characters */

/*
 * Writes the contact to out, ended by NUL; an empty text where none is named, or where the file is not one that only
 * owner can change. Control characters are left out.
 */
void contact_read(const char *path, uid_t owner, char out[CONTACT_SIZE]);

/* The same of what a file holds, whatever it is. */
void contact_parse(const char *text, size_t size, char out[CONTACT_SIZE]);

/* Joins a sentence and the contact to one line with its newline. False when it does not fit. */
bool contact_line(char *line, size_t size, const char *sentence, const char *contact);

#endif
