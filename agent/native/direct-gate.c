#include "direct-gate.h"
#include "terminal.h"

#include <stddef.h>
#include <sys/socket.h>

bool direct_gate_start(struct child *gate, const char *program, char *const env[])
{
    char *const argv[] = {(char *)program, (char *)"gate", (char *)"--direct", NULL};
    const struct child_program how = {
        .path = program,
        .argv = argv,
        .env = env,
        .socket_type = SOCK_STREAM,
        /* A stage ended by SIGKILL cannot end its child; an agent without a person to answer
         * must not live on. */
        .dies_with_parent = true,
        .first = terminal_disown, /* a crash in there must not touch the parent's terminal */
    };

    return child_start(gate, &how);
}
