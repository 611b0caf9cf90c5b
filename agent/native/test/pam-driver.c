/*
 * Calls the PAM module as libpam does for an application, and prints what the person reads and what
 * the module returns. What PAM knows of the question is in the environment: PAM_USER and the like.
 *
 *   pam-driver [OPTION...] ARGUMENT...   the arguments are those of the module's line
 *     --types TEXT    what the person types at a prompt; without it they press Ctrl-C
 *     --thinks        they type it when there is a line on standard input
 *     --ignore        the application ignores SIGCHLD
 *     --reaps         the application takes the status of every child, as soon as there is one
 *     --mute          an application without a conversation
 *     --setcred       only what PAM does after a login
 */
#define _GNU_SOURCE
#include "pam-api.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* The address sanitizer's, whose header not every compiler brings along. */
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));

static const char *types;
static const char *typed;
static size_t typed_len;
static int mute, thinks;

static void ignore_new(const volatile void *pointer, size_t size)
{
    (void)pointer, (void)size;
}

/* What was typed must not lie about in memory that others get. */
static void check_wiped(const volatile void *pointer)
{
    if (pointer == NULL || pointer != typed)
        return;
    for (size_t i = 0; i < typed_len; i++)
        if (typed[i] != '\0')
            abort();
    typed = NULL;
}

static void reap(int sig)
{
    const int saved = errno;

    (void)sig;
    while (waitpid(-1, NULL, WNOHANG) > 0)
        continue;
    errno = saved;
}

static int converse(int num_msg, const struct pam_message **msg, struct pam_response **resp, void *data)
{
    static const char *const style[] = {
        [PAM_PROMPT_ECHO_OFF] = "off",
        [PAM_PROMPT_ECHO_ON] = "on",
        [PAM_ERROR_MSG] = "error",
        [PAM_TEXT_INFO] = "text",
    };

    if (num_msg != 1 || data != &types)
        abort();
    printf("%s %s\n", style[msg[0]->msg_style], msg[0]->msg);
    if (msg[0]->msg_style != PAM_PROMPT_ECHO_OFF && msg[0]->msg_style != PAM_PROMPT_ECHO_ON)
        return PAM_SUCCESS;
    if (thinks && getchar() == EOF)
        abort();
    if (types == NULL)
        return 19; /* PAM_CONV_ERR */
    *resp = calloc(1, sizeof **resp);
    if (*resp == NULL)
        abort();
    (*resp)->resp = strdup(types);
    typed = (*resp)->resp;
    typed_len = strlen(types);
    return PAM_SUCCESS;
}

int pam_get_item(const pam_handle_t *pamh, int item_type, const void **item)
{
    static const struct pam_conv conv = {.conv = converse, .appdata_ptr = &types};
    static const char *const name[] = {
        [PAM_SERVICE] = "PAM_SERVICE", [PAM_USER] = "PAM_USER",   [PAM_TTY] = "PAM_TTY",
        [PAM_RHOST] = "PAM_RHOST",     [PAM_RUSER] = "PAM_RUSER",
    };

    (void)pamh;
    if (item_type == PAM_CONV)
        *item = mute ? NULL : &conv;
    else
        *item = getenv(name[item_type]);
    return PAM_SUCCESS;
}

const char *pam_getenv(pam_handle_t *pamh, const char *name)
{
    (void)pamh;
    return getenv(name);
}

int main(int argc, char *argv[])
{
    struct sigaction chld = {.sa_handler = SIG_DFL}, after;
    sigset_t before_mask, mask;
    int at = 1, setcred = 0, next_fd, fd;

    setvbuf(stdout, NULL, _IONBF, 0);
    for (; at < argc && strncmp(argv[at], "--", 2) == 0; at++) {
        if (strcmp(argv[at], "--ignore") == 0)
            chld.sa_handler = SIG_IGN;
        else if (strcmp(argv[at], "--reaps") == 0)
            chld.sa_handler = reap;
        else if (strcmp(argv[at], "--thinks") == 0)
            thinks = 1;
        else if (strcmp(argv[at], "--mute") == 0)
            mute = 1;
        else if (strcmp(argv[at], "--setcred") == 0)
            setcred = 1;
        else if (strcmp(argv[at], "--types") == 0 && at + 1 < argc)
            types = argv[++at];
        else
            return 2;
    }
    if (sigaction(SIGCHLD, &chld, NULL) != 0 ||
        __sanitizer_install_malloc_and_free_hooks(ignore_new, check_wiped) == 0)
        return 2;
    next_fd = dup(STDIN_FILENO);
    (void)close(next_fd);
    (void)sigprocmask(SIG_SETMASK, NULL, &before_mask);

    printf("returns %d\n", (setcred ? pam_sm_setcred : pam_sm_authenticate)(NULL, 0, argc - at,
                                                                            (const char **)argv + at));

    /* The program is as it was, and nothing of ours is left in it. */
    (void)sigprocmask(SIG_SETMASK, NULL, &mask);
    for (int sig = 1; sig < NSIG; sig++)
        if (sigismember(&mask, sig) != sigismember(&before_mask, sig))
            printf("signal %d is blocked, or is no longer\n", sig);
    if (sigaction(SIGCHLD, NULL, &after) != 0 || after.sa_handler != chld.sa_handler)
        printf("SIGCHLD is handled in another way\n");
    fd = dup(STDIN_FILENO);
    if (fd != next_fd)
        printf("descriptor %d is left open\n", next_fd);
    if (waitpid(-1, NULL, WNOHANG) != -1 || errno != ECHILD)
        printf("a child is left\n");
    if (typed != NULL)
        printf("what was typed is never freed\n");
    return 0;
}
