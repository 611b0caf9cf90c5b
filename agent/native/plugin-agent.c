#define _GNU_SOURCE
#include "plugin-agent.h"
#include "parent.h"
#include "places.h"
#include "plugin-session.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#ifndef IDENTREE_BUILD_ID
#error "IDENTREE_BUILD_ID says which sources this was built from"
#endif

#define REPORT_MS 500

bool begin_hello(struct hook_hello *hello, const char *mode)
{
    unsigned long long start;
    char api[24];

    if (!own_start_time(&start))
        return false;
    (void)snprintf(api, sizeof api, "%u.%u", SUDO_API_MAJOR(session.api), SUDO_API_MINOR(session.api));
    hook_hello_begin(hello);
    hook_hello_number(hello, "v", 1);
    hook_hello_text(hello, "mode", mode, 16);
    hook_hello_text(hello, "build", IDENTREE_BUILD_ID, 64);
    hook_hello_text(hello, "api", api, 16);
    hook_hello_number(hello, "pid", (unsigned long long)getpid());
    hook_hello_number(hello, "pstart", start);
    return true;
}

bool send_hello(int fd, struct hook_hello *hello, int timeout_ms)
{
    return hook_hello_end(hello) &&
           hook_send(fd, hello->bytes, hello->len, timeout_ms);
}

int connect_agent(void)
{
    return hook_connect(setting.socket_dir, IDENTREE_SOCKET_NAME, setting.agent_uid);
}

void register_sudo(void)
{
    static struct hook_hello hello;
    int fd;

    if (!begin_hello(&hello, "sudo-open"))
        return;
    fd = connect_agent();
    if (fd < 0)
        return;
    (void)send_hello(fd, &hello, REPORT_MS);
    (void)close(fd);
}

void report_run(const struct request *request, const struct report *report)
{
    static struct hook_hello hello;
    int fd;

    if (!request->known || !begin_hello(&hello, "sudo-report"))
        return;
    hook_hello_text(&hello, "event", report->event, 16);
    hook_hello_number(&hello, "status_type", (unsigned long long)report->status_type);
    hook_hello_number(&hello, "status", (unsigned long long)(unsigned int)report->status);
    hook_hello_number(&hello, "ms",
                      (unsigned long long)(hook_now_ms() - report->released_at));
    fd = connect_agent();
    if (fd < 0)
        return;
    if (send_hello(fd, &hello, REPORT_MS) &&
        (report->reason == NULL ||
         hook_send_part(fd, PART_REASON, (const uint8_t *)report->reason, strlen(report->reason), REPORT_MS)) &&
        hook_send_part(fd, PART_TOKEN, request->token, request->token_len, REPORT_MS))
        (void)hook_send_mark(fd, 'E', REPORT_MS);
    (void)close(fd);
}
