#include "plugin-session.h"
#include "contact.h"
#include "hook-client.h"
#include "places.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define AGENT_START_MS 5000
#define AGENT_BACK_MS 45000 /* the server keeps a request that long without its host */
#define START_MS 10000 /* from the release to the start, other plugins and I/O logs of sudo included */

struct plugin_session session;

struct plugin_setting setting = {IDENTREE_SOCKET_DIR, IDENTREE_DIRECT_PROGRAM, IDENTREE_CLIENT_CONF, 0,
                                 AGENT_START_MS, AGENT_BACK_MS, SILENCE_MS, START_MS};

#ifdef IDENTREE_TEST
#include "test-hooks.h"

static void apply_test_hooks(void)
{
    setting.agent_uid = geteuid();
    test_path(&setting.socket_dir, "IDENTREE_TEST_SOCKET_DIR");
    test_path(&setting.direct_program, "IDENTREE_TEST_DIRECT");
    test_path(&setting.client_conf, "IDENTREE_TEST_CLIENT_CONF");
    test_ms(&setting.start_ms, "IDENTREE_TEST_START_MS");
    test_ms(&setting.back_ms, "IDENTREE_TEST_BACK_MS");
    test_ms(&setting.silence_ms, "IDENTREE_TEST_SILENCE_MS");
    test_ms(&setting.start_within_ms, "IDENTREE_TEST_START_WITHIN_MS");
}
#endif

/* The value of NAME=value in a list of sudo's; NULL when it is not there. */
static const char *value_of(char *const list[], const char *name)
{
    size_t len = strlen(name);

    for (; list != NULL && *list != NULL; list++)
        if (strncmp(*list, name, len) == 0 && (*list)[len] == '=')
            return *list + len + 1;
    return NULL;
}

bool is_true(char *const list[], const char *name)
{
    const char *value = value_of(list, name);

    return value != NULL && strcmp(value, "true") == 0;
}

void session_open(unsigned int version, sudo_conv_t conversation, char *const settings[], char *const user_info[])
{
    const char *uid = value_of(user_info, "uid");

#ifdef IDENTREE_TEST
    apply_test_hooks();
#endif
    session.api = version;
    session.conversation = conversation;
    session.settings = settings;
    session.user_info = user_info;
    session.root = uid != NULL && strcmp(uid, "0") == 0;
}

void say(const char *line)
{
    const struct sudo_conv_message message = {
        .msg_type = SUDO_CONV_ERROR_MSG | SUDO_CONV_PREFER_TTY,
        .msg = line,
    };

    if (session.conversation != NULL)
        (void)session.conversation(1, &message, NULL, NULL);
}

void say_refused(const char *why)
{
    static char contact[CONTACT_SIZE];
    static char line[CONTACT_SIZE + 256];

    contact_read(setting.client_conf, setting.agent_uid, contact);
    if (contact_line(line, sizeof line, why, contact))
        say(line);
}

void say_text(const uint8_t *text, size_t len)
{
    static char line[HOOK_MAX_PAYLOAD + 2];
    size_t n = hook_clean_text((uint8_t *)line, text, len);

    line[n] = '\n';
    line[n + 1] = '\0';
    say(line);
}

void say_ending(struct ending ending)
{
    switch (ending.outcome) {
    case NO_AGENT:
        say_refused("identree: the agent of this host does not answer; sudo is refused. Run `identree "
                    "doctor` as root to see why.");
        break;
    case SILENT:
        say_refused("identree: the agent's answer came too late; sudo is refused.");
        break;
    case BROKEN:
        say_refused("identree: the agent's answer was incomplete or malformed; sudo is refused.");
        break;
    case CANCELLED:
        if (ending.cancel == CANCEL_INTERRUPT)
            say("  Cancelled.\n");
        if (ending.cancel == CANCEL_NOPROMPT)
            say_refused("identree: something has to be typed, and there is no terminal for it here; sudo is "
                        "refused.");
        break;
    case REFUSED:
    case GRANTED:
        break;
    }
}
