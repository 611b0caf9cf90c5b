/*
 * What Linux-PAM and a module agree on, as pam_sm_authenticate(3) and pam_conv(3) document it.
 * Declared here so that building needs no headers of PAM; test/pam-api.c holds all of it against
 * those of the machine.
 */
#ifndef IDENTREE_PAM_API_H
#define IDENTREE_PAM_API_H

enum pam_result {
    PAM_SUCCESS = 0,
    PAM_PERM_DENIED = 6,
    PAM_IGNORE = 25,
};

enum pam_item {
    PAM_SERVICE = 1,
    PAM_USER = 2,
    PAM_TTY = 3,
    PAM_RHOST = 4,
    PAM_CONV = 5,
    PAM_RUSER = 8,
};

enum pam_style {
    PAM_PROMPT_ECHO_OFF = 1,
    PAM_PROMPT_ECHO_ON = 2,
    PAM_ERROR_MSG = 3,
    PAM_TEXT_INFO = 4,
};

struct pam_message {
    int msg_style;
    const char *msg;
};

/* Allocated by the application, freed by the module. */
struct pam_response {
    char *resp;
    int resp_retcode;
};

struct pam_conv {
    int (*conv)(int num_msg, const struct pam_message **msg, struct pam_response **resp,
                void *appdata_ptr);
    void *appdata_ptr;
};

typedef struct pam_handle pam_handle_t;

int pam_get_item(const pam_handle_t *pamh, int item_type, const void **item);
const char *pam_getenv(pam_handle_t *pamh, const char *name);

int pam_sm_authenticate(pam_handle_t *pamh, int flags, int argc, const char **argv);
int pam_sm_setcred(pam_handle_t *pamh, int flags, int argc, const char **argv);

#endif
