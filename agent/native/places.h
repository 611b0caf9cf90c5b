#ifndef IDENTREE_PLACES_H
#define IDENTREE_PLACES_H

/* Where the hooks find the agent: in one place, since hooks that look elsewhere would find another one. */

#ifndef IDENTREE_SOCKET_DIR
#define IDENTREE_SOCKET_DIR "/run/identree"
#endif
#ifndef IDENTREE_SOCKET_NAME
#define IDENTREE_SOCKET_NAME "agent.sock"
#endif
/* What stands in for an agent that is not there. */
#ifndef IDENTREE_DIRECT_PROGRAM
#define IDENTREE_DIRECT_PROGRAM "/usr/bin/identree"
#endif

#define SILENCE_MS 60000       /* the agent says 'A' every 15 s */
#define DIRECT_ACCEPT_MS 10000 /* a runtime has to start first */

#endif
