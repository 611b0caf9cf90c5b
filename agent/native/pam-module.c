/*
 * pam_identree.so: what PAM loads into sudo and sshd. It decides nothing. For a sudo whose plugin
 * asks by itself the agent lets it pass; for everything else it starts the stage, shows what the
 * stage says, has typed what the stage asks for, and hands on its answer. README.md has the rest.
 *
 * All of this runs inside sudo or sshd: no thread, no memory of its own, and what it changes of the
 * process is as before once it returns.
 */
#define _GNU_SOURCE
#include "child.h"
#include "clean-start.h"
#include "contact.h"
#include "hook-client.h"
#include "pam-api.h"
#include "parent.h"
#include "places.h"
#include "relay.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef IDENTREE_STAGE
#define IDENTREE_STAGE "/usr/lib/identree/identree-pam"
#endif

#define REGISTERED_MS 1000 /* for the whole question: the stage asks where it has no answer */
#define STAGE_ENDS_MS 1000

/* PAM's items among what is handed to the stage; the others are in PAM's environment. */
static const int item_of[PAM_ENV_COUNT] = {
    [PAM_ENV_USER] = PAM_USER,     [PAM_ENV_RUSER] = PAM_RUSER, [PAM_ENV_RHOST] = PAM_RHOST,
    [PAM_ENV_SERVICE] = PAM_SERVICE, [PAM_ENV_TTY] = PAM_TTY,
};

enum mode { MODE_SUDO, MODE_SSH };

static struct {
    const char *socket_dir;
    const char *stage;
    const char *client_conf;
    uid_t agent_uid;
} setting = {IDENTREE_SOCKET_DIR, IDENTREE_STAGE, IDENTREE_CLIENT_CONF, 0};

#define TEST_SETTINGS 8

/* What the stage gets: nothing but what PAM itself knows. */
struct environment {
    char text[8192];
    size_t used;
    char *entry[ENV_COUNT + TEST_SETTINGS + 1];
    size_t count;
    bool overflow;
};

#ifdef IDENTREE_TEST
#include "test-hooks.h"

static void apply_test_hooks(void)
{
    setting.agent_uid = geteuid();
    test_path(&setting.socket_dir, "IDENTREE_TEST_SOCKET_DIR");
    test_path(&setting.stage, "IDENTREE_TEST_STAGE");
    test_path(&setting.client_conf, "IDENTREE_TEST_CLIENT_CONF");
}

static void add_test_hooks(struct environment *env)
{
    for (char **entry = environ; *entry != NULL; entry++)
        if (strncmp(*entry, "IDENTREE_TEST_", 14) == 0 && env->count < ENV_COUNT + TEST_SETTINGS)
            env->entry[env->count++] = *entry;
}
#endif

static int converse(pam_handle_t *pamh, int style, const char *text, struct pam_response **reply)
{
    const struct pam_message message = {.msg_style = style, .msg = text};
    const struct pam_message *messages[] = {&message};
    const struct pam_conv *conv = NULL;
    const void *item = NULL;

    *reply = NULL;
    if (pam_get_item(pamh, PAM_CONV, &item) != PAM_SUCCESS || item == NULL)
        return -1;
    conv = item;
    return conv->conv == NULL ? -1 : conv->conv(1, messages, reply, conv->appdata_ptr);
}

/* Text answers nothing; an application that answers it all the same gets no leak of ours. */
static void say(pam_handle_t *pamh, int style, const char *text)
{
    struct pam_response *reply;

    (void)converse(pamh, style, text, &reply);
    if (reply != NULL) {
        free(reply->resp);
        free(reply);
    }
}

/* The last line of a refusal that no stage explains: why, and whom to call. */
static void say_refused(pam_handle_t *pamh, const char *why)
{
    static char contact[CONTACT_SIZE];
    static char line[CONTACT_SIZE + 256];

    contact_read(setting.client_conf, setting.agent_uid, contact);
    if (!contact_line(line, sizeof line, why, contact))
        return;
    line[strcspn(line, "\n")] = '\0'; /* PAM ends lines itself */
    say(pamh, PAM_ERROR_MSG, line);
}

static void show(pam_handle_t *pamh, int style, const uint8_t *text, size_t len)
{
    char line[HOOK_MAX_PAYLOAD + 1];

    line[hook_clean_text((uint8_t *)line, text, len)] = '\0';
    say(pamh, style, line);
}

/* False when the stage can no longer be told. */
static bool have_typed(pam_handle_t *pamh, int stage, const struct relay_message *asked)
{
    char text[HOOK_MAX_PROMPT + 1];
    struct pam_response *reply;
    size_t len;
    bool sent;

    text[hook_clean_text((uint8_t *)text, asked->bytes, asked->len)] = '\0';
    if (converse(pamh, asked->echo ? PAM_PROMPT_ECHO_ON : PAM_PROMPT_ECHO_OFF, text, &reply) != PAM_SUCCESS ||
        reply == NULL || reply->resp == NULL) {
        free(reply);
        return relay_send(stage, 'N', NULL, 0);
    }
    len = strlen(reply->resp);
    sent = len <= HOOK_MAX_TYPED ? relay_send(stage, 'S', (const uint8_t *)reply->resp, len)
                                 : relay_send(stage, 'N', NULL, 0);
    explicit_bzero(reply->resp, len);
    free(reply->resp);
    free(reply);
    return sent;
}

/* Relays until the stage has ended. True only after its yes and nothing after it. */
static bool relay(pam_handle_t *pamh, int stage)
{
    static uint8_t packet[RELAY_MAX + 1];
    bool granted = false;

    for (;;) {
        ssize_t n = recv(stage, packet, sizeof packet, 0);
        struct relay_message message;

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n == 0 && granted;
        if (granted)
            return false;
        message = relay_parse(packet, (size_t)n, true);
        switch (message.event) {
        case RELAY_TEXT:
            show(pamh, PAM_TEXT_INFO, message.bytes, message.len);
            break;
        case RELAY_ERROR:
            show(pamh, PAM_ERROR_MSG, message.bytes, message.len);
            break;
        case RELAY_PROMPT:
            (void)have_typed(pamh, stage, &message); /* what it has said before its end still counts */
            break;
        case RELAY_GRANTED:
            granted = true;
            break;
        case RELAY_REFUSED:
        case RELAY_TYPED:
        case RELAY_NO_ANSWER:
        case RELAY_BROKEN:
            return false;
        }
    }
}

static void add(struct environment *env, enum pam_name name, const char *value)
{
    const char *const key = handed_over_name(name);
    const size_t room = sizeof env->text - env->used;
    const size_t limit = handed_over_limit(name) + 1; /* one too many says that it is too long */
    int n;

    if (value == NULL)
        return;
    n = snprintf(env->text + env->used, room, "%s=%.*s", key, (int)limit, value);
    if (n < 0 || (size_t)n >= room) {
        env->overflow = true;
        return;
    }
    env->entry[env->count++] = env->text + env->used;
    env->used += (size_t)n + 1;
}

static bool build_environment(pam_handle_t *pamh, struct environment *env)
{
    env->used = env->count = 0;
    env->overflow = false;
    for (int name = 0; name < ENV_COUNT; name++) {
        const void *item = NULL;

        if (name == PAM_ENV_TYPE)
            add(env, PAM_ENV_TYPE, "auth");
        else if (name >= PAM_ENV_COUNT)
            add(env, (enum pam_name)name, pam_getenv(pamh, handed_over_name((enum pam_name)name)));
        else if (pam_get_item(pamh, item_of[name], &item) == PAM_SUCCESS)
            add(env, (enum pam_name)name, item);
        else
            return false;
    }
#ifdef IDENTREE_TEST
    add_test_hooks(env);
#endif
    env->entry[env->count] = NULL;
    return !env->overflow;
}

static bool stage_permits(pam_handle_t *pamh, enum mode mode)
{
    static struct environment env;
    char *const argv[] = {(char *)setting.stage, (char *)(mode == MODE_SUDO ? "sudo" : "ssh"), (char *)"relay", NULL};
    const struct child_program stage = {
        .path = setting.stage,
        .argv = argv,
        .env = env.entry,
        .socket_type = SOCK_SEQPACKET,
        .own_session = true,
    };
    /* Else its end is nobody's to see where children are ignored, or a handler of the program's
     * takes it for one of its own. */
    const struct sigaction by_default = {.sa_handler = SIG_DFL};
    struct sigaction was;
    struct child child;
    bool permits = false;

    if (!build_environment(pamh, &env) || sigaction(SIGCHLD, &by_default, &was) != 0)
        return false;
    if (child_start(&child, &stage)) {
        const bool granted = relay(pamh, child.fd);
        const int status = child_end(&child, STAGE_ENDS_MS);

        permits = granted && status == 0;
        if (status != 0 && status != 1)
            say_refused(pamh, "identree: the program that asks for approval could not do so; refused. "
                              "Run `identree doctor` as root to see why.");
    }
    (void)sigaction(SIGCHLD, &was, NULL);
    return permits;
}

/* Reads frames until the stream ends by deadline. True after a yes that nothing follows. */
static bool answered_yes(int fd, struct hook_reader *reader, int64_t deadline)
{
    bool granted = false;

    for (;;) {
        struct pollfd on = {.fd = fd, .events = POLLIN};
        int64_t left = deadline - hook_now_ms();
        enum hook_event event;
        uint8_t extra;
        ssize_t n;

        if (left <= 0 || (poll(&on, 1, (int)left) < 0 && errno != EINTR))
            return false;
        n = granted ? recv(fd, &extra, 1, MSG_DONTWAIT)
                    : recv(fd, reader->buf + reader->len, hook_reader_want(reader), MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            continue;
        if (granted || n <= 0)
            return granted && n == 0;
        if (!hook_reader_push(reader, (size_t)n, &event) || event == HOOK_ALIVE)
            continue;
        if (event != HOOK_GRANTED)
            return false;
        granted = true;
    }
}

/* True when the agent knows this very process as a sudo whose plugin asks by itself. */
static bool plugin_asks(void)
{
    static struct hook_hello hello;
    static struct hook_reader reader;
    const int64_t deadline = hook_now_ms() + REGISTERED_MS;
    unsigned long long start;
    bool yes = false;
    int fd;

    if (!own_start_time(&start))
        return false;
    hook_hello_begin(&hello);
    hook_hello_number(&hello, "v", 1);
    hook_hello_text(&hello, "mode", "sudo-registered", 32);
    hook_hello_number(&hello, "pid", (unsigned long long)getpid());
    hook_hello_number(&hello, "pstart", start);
    fd = hook_connect(setting.socket_dir, IDENTREE_SOCKET_NAME, setting.agent_uid);
    if (fd < 0)
        return false; /* the stage says what is wrong */
    hook_reader_init(&reader, false);
    if (hook_hello_end(&hello) && hook_send(fd, hello.bytes, hello.len, REGISTERED_MS))
        yes = answered_yes(fd, &reader, deadline);
    (void)close(fd);
    return yes;
}

#define EXPORTED __attribute__((visibility("default")))

EXPORTED int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    enum mode mode;

    (void)flags; /* sudo wants silence (PAM_SILENT) of all modules, and its user the link */
#ifdef IDENTREE_TEST
    apply_test_hooks();
#endif
    if (argc == 1 && strcmp(argv[0], "sudo") == 0)
        mode = MODE_SUDO;
    else if (argc == 1 && strcmp(argv[0], "ssh") == 0)
        mode = MODE_SSH;
    else {
        say_refused(pamh, "identree: the line of pam_identree.so says neither sudo nor ssh; refused.");
        return PAM_PERM_DENIED;
    }
    if (mode == MODE_SUDO && plugin_asks())
        return PAM_SUCCESS;
    return stage_permits(pamh, mode) ? PAM_SUCCESS : PAM_PERM_DENIED;
}

/* There are none to set; another module says so. */
EXPORTED int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv)
{
    (void)pamh, (void)flags, (void)argc, (void)argv;
    return PAM_IGNORE;
}
