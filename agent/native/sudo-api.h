/*
 * What sudo and a plugin agree on, as sudo_plugin(5) documents it for sudo 1.9: the two kinds of
 * plugin that are used here, and no more. Declared here so that building needs no sudo;
 * test/sudo-api.c holds every offset and number against the sudo_plugin.h of the machine.
 */
#ifndef IDENTREE_SUDO_API_H
#define IDENTREE_SUDO_API_H

/* Major 1; minor 15 is sudo 1.9.0, the first with audit and approval plugins. */
#define SUDO_API_MAJOR(version) ((version) >> 16)
#define SUDO_API_MINOR(version) ((version)&0xffffU)
#define SUDO_API_VERSION ((1U << 16) | 15U)

enum sudo_plugin_type {
    SUDO_FRONT_END = 0, /* sudo itself, where an audit plugin is told who decided */
    SUDO_POLICY_PLUGIN = 1,
    SUDO_AUDIT_PLUGIN = 3,
    SUDO_APPROVAL_PLUGIN = 4,
};

#define SUDO_CONV_PROMPT_ECHO_OFF 0x0001
#define SUDO_CONV_PROMPT_ECHO_ON 0x0002
#define SUDO_CONV_ERROR_MSG 0x0003
#define SUDO_CONV_INFO_MSG 0x0004
#define SUDO_CONV_PREFER_TTY 0x2000

/* What audit_plugin.close is told about. */
enum sudo_status_type {
    SUDO_PLUGIN_NO_STATUS = 0,
    SUDO_PLUGIN_WAIT_STATUS = 1,
    SUDO_PLUGIN_EXEC_ERROR = 2,
    SUDO_PLUGIN_SUDO_ERROR = 3,
};

struct sudo_conv_message {
    int msg_type;
    int timeout;
    const char *msg;
};

/* What was typed, allocated by sudo and freed by the plugin. */
struct sudo_conv_reply {
    char *reply;
};

struct sudo_conv_callback;
struct sudo_hook;
struct sudo_plugin_event;

typedef int (*sudo_conv_t)(int num_msgs, const struct sudo_conv_message msgs[],
                           struct sudo_conv_reply *replies, struct sudo_conv_callback *callback);
typedef int (*sudo_printf_t)(int msg_type, const char *format, ...);

/* Lists of strings end with NULL. */
struct audit_plugin {
    unsigned int type;
    unsigned int version;
    int (*open)(unsigned int version, sudo_conv_t conversation, sudo_printf_t print,
                char *const settings[], char *const user_info[], int submit_optind,
                char *const submit_argv[], char *const submit_envp[], char *const options[],
                const char **errstr);
    void (*close)(int status_type, int status);
    int (*accept)(const char *plugin_name, unsigned int plugin_type, char *const command_info[],
                  char *const run_argv[], char *const run_envp[], const char **errstr);
    int (*reject)(const char *plugin_name, unsigned int plugin_type, const char *message,
                  char *const command_info[], const char **errstr);
    int (*error)(const char *plugin_name, unsigned int plugin_type, const char *message,
                 char *const command_info[], const char **errstr);
    int (*show_version)(int verbose);
    void (*register_hooks)(int version, int (*register_hook)(struct sudo_hook *hook));
    void (*deregister_hooks)(int version, int (*deregister_hook)(struct sudo_hook *hook));
    struct sudo_plugin_event *(*event_alloc)(void);
};

struct approval_plugin {
    unsigned int type;
    unsigned int version;
    int (*open)(unsigned int version, sudo_conv_t conversation, sudo_printf_t print,
                char *const settings[], char *const user_info[], int submit_optind,
                char *const submit_argv[], char *const submit_envp[], char *const options[],
                const char **errstr);
    void (*close)(void);
    int (*check)(char *const command_info[], char *const run_argv[], char *const run_envp[],
                 const char **errstr);
    int (*show_version)(int verbose);
};

#endif
