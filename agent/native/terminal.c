#define _GNU_SOURCE
#include "terminal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#define KEY_CTRL_C 0x03
#define KEY_CTRL_BACKSLASH 0x1c

static int tty = -1;
static struct stat node;
static struct termios saved; /* as we found it */
static struct termios ours;  /* as the kernel reports what we set */
static volatile sig_atomic_t changed;

int terminal_fd(void)
{
    return tty;
}

const struct stat *terminal_node(void)
{
    return &node;
}

enum terminal_found terminal_open(const char *path)
{
    if (path == NULL || strncmp(path, "/dev/", 5) != 0 || strstr(path, "..") != NULL)
        return TERMINAL_NONE;
    /* O_NOCTTY: the stage leads its own session and would otherwise take the terminal. */
    tty = open(path, O_RDWR | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (tty < 0)
        return errno == ENOENT || errno == EIO || errno == ENXIO ? TERMINAL_GONE : TERMINAL_NONE;
    errno = 0;
    if (fstat(tty, &node) != 0 || !S_ISCHR(node.st_mode) || !isatty(tty)) {
        bool hung_up = errno == EIO;

        (void)close(tty);
        tty = -1;
        return hung_up ? TERMINAL_GONE : TERMINAL_NONE;
    }
    return TERMINAL_OPEN;
}

bool terminal_size(unsigned *cols, unsigned *rows)
{
    struct winsize size;

    if (tty < 0 || ioctl(tty, TIOCGWINSZ, &size) != 0)
        return false;
    *cols = size.ws_col;
    *rows = size.ws_row;
    return true;
}

static bool same_modes(const struct termios *a, const struct termios *b)
{
    return a->c_iflag == b->c_iflag && a->c_oflag == b->c_oflag && a->c_cflag == b->c_cflag &&
           a->c_lflag == b->c_lflag && memcmp(a->c_cc, b->c_cc, sizeof a->c_cc) == 0;
}

/* TCSANOW throughout: draining would wait for ever on a terminal stopped with Ctrl-S. */
static bool set_ours(const struct termios *now)
{
    struct termios next = *now;

    /* ISIG off, because sudo is deaf to SIGINT while it waits for PAM. IXON off, so that
     * Ctrl-S cannot freeze the text and Ctrl-C with it. VMIN 1: with 0, "nothing typed"
     * and "hung up" would both read as 0 bytes. */
    next.c_lflag &= (tcflag_t)~(tcflag_t)(ICANON | ECHO | ISIG | IEXTEN);
    next.c_iflag &= (tcflag_t)~(tcflag_t)IXON;
    next.c_cc[VMIN] = 1;
    next.c_cc[VTIME] = 0;
    saved = *now;
    ours = next;
    changed = 1; /* before the change: a crash in between restores what is there anyway */
    /* Type-ahead was meant for the shell, or planted there; it must neither cancel nor
     * survive to be read by the command. */
    if (tcflush(tty, TCIFLUSH) != 0 || tcsetattr(tty, TCSANOW, &next) != 0 ||
        tcgetattr(tty, &ours) != 0)
        return errno != EIO;
    return true;
}

bool terminal_follow(bool foreground)
{
    struct termios now;

    if (tty < 0)
        return true;
    if (!foreground && !changed)
        return true;
    if (tcgetattr(tty, &now) != 0)
        return errno != EIO;
    if (foreground) {
        /* Also when the modes are no longer ours: a stop and `fg` between two looks. */
        if (!changed || !same_modes(&now, &ours))
            return set_ours(&now);
        return true;
    }
    changed = 0;
    /* No flush: whatever waits to be read now was typed for the shell. */
    if (same_modes(&now, &ours) && tcsetattr(tty, TCSANOW, &saved) != 0)
        return errno != EIO;
    return true;
}

enum terminal_key terminal_read(void)
{
    unsigned char keys[256];
    enum terminal_key found = KEY_NOTHING;
    ssize_t n = read(tty, keys, sizeof keys);

    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        return KEY_HANGUP;
    for (ssize_t i = 0; i < n; i++)
        if (keys[i] == KEY_CTRL_C || keys[i] == KEY_CTRL_BACKSLASH)
            found = KEY_CANCEL;
    explicit_bzero(keys, sizeof keys); /* people type passwords at sudo out of habit */
    return found;
}

void terminal_lend(bool foreground)
{
    bool was_ours = changed != 0;

    if (tty < 0)
        return;
    if (!foreground) {
        (void)terminal_follow(false);
    } else if (was_ours) {
        (void)tcsetattr(tty, TCSANOW, &saved);
        (void)tcflush(tty, TCIFLUSH);
    }
    changed = 0;
}

void terminal_close(void)
{
    if (tty >= 0)
        (void)close(tty);
    tty = -1;
}

void terminal_release(bool foreground)
{
    terminal_lend(foreground);
    terminal_close();
}

void terminal_emergency(void)
{
    if (changed && tty >= 0) {
        (void)tcsetattr(tty, TCSANOW, &saved);
        (void)tcflush(tty, TCIFLUSH);
    }
}

void terminal_disown(void)
{
    changed = 0;
}
