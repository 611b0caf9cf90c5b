/* Our declarations of sudo's interface against the header of the machine, which is a later version of the same. */
#define SUDO_FRONT_END OURS_FRONT_END
#define SUDO_AUDIT_PLUGIN OURS_AUDIT_PLUGIN
#define SUDO_APPROVAL_PLUGIN OURS_APPROVAL_PLUGIN
#define SUDO_POLICY_PLUGIN OURS_POLICY_PLUGIN
#define SUDO_PLUGIN_NO_STATUS OURS_NO_STATUS
#define SUDO_PLUGIN_WAIT_STATUS OURS_WAIT_STATUS
#define SUDO_PLUGIN_EXEC_ERROR OURS_EXEC_ERROR
#define SUDO_PLUGIN_SUDO_ERROR OURS_SUDO_ERROR
#define sudo_conv_t ours_conv_t
#define sudo_printf_t ours_printf_t
#define sudo_conv_message ours_conv_message
#define sudo_conv_reply ours_conv_reply
#define audit_plugin ours_audit_plugin
#define approval_plugin ours_approval_plugin
#include "sudo-api.h"
enum {
    OUR_VERSION = SUDO_API_VERSION,
    OUR_PROMPT_ECHO_OFF = SUDO_CONV_PROMPT_ECHO_OFF,
    OUR_PROMPT_ECHO_ON = SUDO_CONV_PROMPT_ECHO_ON,
    OUR_ERROR_MSG = SUDO_CONV_ERROR_MSG,
    OUR_INFO_MSG = SUDO_CONV_INFO_MSG,
    OUR_PREFER_TTY = SUDO_CONV_PREFER_TTY,
};
#undef SUDO_FRONT_END
#undef SUDO_AUDIT_PLUGIN
#undef SUDO_APPROVAL_PLUGIN
#undef SUDO_POLICY_PLUGIN
#undef SUDO_PLUGIN_NO_STATUS
#undef SUDO_PLUGIN_WAIT_STATUS
#undef SUDO_PLUGIN_EXEC_ERROR
#undef SUDO_PLUGIN_SUDO_ERROR
#undef sudo_conv_t
#undef sudo_printf_t
#undef sudo_conv_message
#undef sudo_conv_reply
#undef audit_plugin
#undef approval_plugin
#undef SUDO_API_VERSION
#undef SUDO_CONV_PROMPT_ECHO_OFF
#undef SUDO_CONV_PROMPT_ECHO_ON
#undef SUDO_CONV_ERROR_MSG
#undef SUDO_CONV_PREFER_TTY
#undef SUDO_CONV_INFO_MSG
#include <stddef.h>
#include <sudo_plugin.h>

#define SAME(what, ours, theirs) _Static_assert((ours) == (theirs), what)
#define conv_message sudo_conv_message
#define conv_reply sudo_conv_reply
#define FIELD(plugin, field) \
    SAME(#plugin "." #field, offsetof(struct ours_##plugin, field), offsetof(struct plugin, field))

SAME("front end", OURS_FRONT_END, SUDO_FRONT_END);
SAME("policy", OURS_POLICY_PLUGIN, SUDO_POLICY_PLUGIN);
SAME("audit", OURS_AUDIT_PLUGIN, SUDO_AUDIT_PLUGIN);
SAME("approval", OURS_APPROVAL_PLUGIN, SUDO_APPROVAL_PLUGIN);
SAME("no status", OURS_NO_STATUS, SUDO_PLUGIN_NO_STATUS);
SAME("wait status", OURS_WAIT_STATUS, SUDO_PLUGIN_WAIT_STATUS);
SAME("exec error", OURS_EXEC_ERROR, SUDO_PLUGIN_EXEC_ERROR);
SAME("sudo error", OURS_SUDO_ERROR, SUDO_PLUGIN_SUDO_ERROR);
SAME("prompt without echo", OUR_PROMPT_ECHO_OFF, SUDO_CONV_PROMPT_ECHO_OFF);
SAME("prompt with echo", OUR_PROMPT_ECHO_ON, SUDO_CONV_PROMPT_ECHO_ON);
SAME("error message", OUR_ERROR_MSG, SUDO_CONV_ERROR_MSG);
SAME("information", OUR_INFO_MSG, SUDO_CONV_INFO_MSG);
SAME("prefer the terminal", OUR_PREFER_TTY, SUDO_CONV_PREFER_TTY);
SAME("major", OUR_VERSION >> 16, SUDO_API_VERSION_MAJOR);
_Static_assert((OUR_VERSION & 0xffff) <= SUDO_API_VERSION_MINOR, "a minor version that is not there yet");
FIELD(conv_message, msg_type);
FIELD(conv_message, timeout);
FIELD(conv_message, msg);
FIELD(conv_reply, reply);
FIELD(audit_plugin, type);
FIELD(audit_plugin, version);
FIELD(audit_plugin, open);
FIELD(audit_plugin, close);
FIELD(audit_plugin, accept);
FIELD(audit_plugin, reject);
FIELD(audit_plugin, error);
FIELD(audit_plugin, show_version);
FIELD(audit_plugin, event_alloc);
FIELD(approval_plugin, type);
FIELD(approval_plugin, version);
FIELD(approval_plugin, open);
FIELD(approval_plugin, close);
FIELD(approval_plugin, check);
FIELD(approval_plugin, show_version);
