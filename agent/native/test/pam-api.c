/* Our declarations of PAM's interface against the headers of the machine. */
#define pam_message ours_message
#define pam_response ours_response
#define pam_conv ours_conv
#define pam_handle ours_handle
#define pam_handle_t ours_handle_t
#define pam_get_item ours_get_item
#define pam_getenv ours_getenv
#define pam_sm_authenticate ours_sm_authenticate
#define pam_sm_setcred ours_sm_setcred
#include "pam-api.h"
enum {
    OURS_SUCCESS = PAM_SUCCESS,
    OURS_PERM_DENIED = PAM_PERM_DENIED,
    OURS_IGNORE = PAM_IGNORE,
    OURS_SERVICE = PAM_SERVICE,
    OURS_USER = PAM_USER,
    OURS_TTY = PAM_TTY,
    OURS_RHOST = PAM_RHOST,
    OURS_CONV = PAM_CONV,
    OURS_RUSER = PAM_RUSER,
    OURS_ECHO_OFF = PAM_PROMPT_ECHO_OFF,
    OURS_ECHO_ON = PAM_PROMPT_ECHO_ON,
    OURS_ERROR = PAM_ERROR_MSG,
    OURS_TEXT = PAM_TEXT_INFO,
};
#undef pam_message
#undef pam_response
#undef pam_conv
#undef pam_handle
#undef pam_handle_t
#undef pam_get_item
#undef pam_getenv
#undef pam_sm_authenticate
#undef pam_sm_setcred
#include <stddef.h>
#include <security/pam_modules.h>

#define SAME(what, ours, theirs) _Static_assert((int)(ours) == (int)(theirs), what)
#define FIELD(of, field) SAME(#of "." #field, offsetof(struct ours_##of, field), offsetof(struct pam_##of, field))
#define FUNCTION(name, type) \
    _Static_assert(_Generic(&pam_##name, type: 1, default: 0), "pam_" #name " is another function")

SAME("success", OURS_SUCCESS, PAM_SUCCESS);
SAME("denied", OURS_PERM_DENIED, PAM_PERM_DENIED);
SAME("ignore", OURS_IGNORE, PAM_IGNORE);
SAME("service", OURS_SERVICE, PAM_SERVICE);
SAME("user", OURS_USER, PAM_USER);
SAME("tty", OURS_TTY, PAM_TTY);
SAME("rhost", OURS_RHOST, PAM_RHOST);
SAME("conv", OURS_CONV, PAM_CONV);
SAME("ruser", OURS_RUSER, PAM_RUSER);
SAME("echo off", OURS_ECHO_OFF, PAM_PROMPT_ECHO_OFF);
SAME("echo on", OURS_ECHO_ON, PAM_PROMPT_ECHO_ON);
SAME("error", OURS_ERROR, PAM_ERROR_MSG);
SAME("text", OURS_TEXT, PAM_TEXT_INFO);
FIELD(message, msg_style);
FIELD(message, msg);
FIELD(response, resp);
FIELD(response, resp_retcode);
FIELD(conv, conv);
FIELD(conv, appdata_ptr);
FUNCTION(get_item, int (*)(const pam_handle_t *, int, const void **));
FUNCTION(getenv, const char *(*)(pam_handle_t *, const char *));
FUNCTION(sm_authenticate, int (*)(pam_handle_t *, int, int, const char **));
FUNCTION(sm_setcred, int (*)(pam_handle_t *, int, int, const char **));
