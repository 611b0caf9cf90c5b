/*
 * labkill.so - loaded into a program with LD_PRELOAD, ends it by SIGKILL just before the n-th time that it changes a file
 * or starts another program; of what it was about to write, half is there by then. n is LAB_KILL_AT. Each such step is a
 * line of the file LAB_KILL_LOG, if there is one: what it is, and which file it is about. Programs that it starts go free.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

static atomic_long done;
static long last;
static int log_fd = -1;

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void)
{
    const char *at = getenv("LAB_KILL_AT"), *file = getenv("LAB_KILL_LOG");

    last = at ? atol(at) : 0;
    if (file)
        log_fd = REAL(open)(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    unsetenv("LD_PRELOAD");
    unsetenv("LAB_KILL_AT");
    unsetenv("LAB_KILL_LOG");
}

/* Whether this step is the last one: then the caller does what may be half done, and ends everything. */
static int counts(const char *what, const char *path)
{
    long n = atomic_fetch_add(&done, 1) + 1;
    char line[PATH_MAX + 64];
    int length;

    if (log_fd >= 0) {
        length = snprintf(line, sizeof line, "%s %s\n", what, path);
        if (length > 0 && REAL(write)(log_fd, line, (size_t)length) < 0)
            abort();
    }
    return n == last;
}

static void end(void)
{
    kill(getpid(), SIGKILL);
    for (;;)
        pause();
}

static void step(const char *what, const char *path)
{
    if (counts(what, path))
        end();
}

static const char *name_of(int fd, char out[PATH_MAX])
{
    char link[64];
    ssize_t length;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    length = readlink(link, out, PATH_MAX - 1);
    out[length < 0 ? 0 : length] = 0;
    return out;
}

static int is_file(int fd)
{
    struct stat info;

    return fd != log_fd && fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

/* Files only: sockets, pipes and what the kernel shows as files are no changes. */
static int makes(const char *path, int flags)
{
    return (flags & (O_CREAT | O_TRUNC)) != 0 && strncmp(path, "/proc/", 6) != 0 && strncmp(path, "/dev/", 5) != 0;
}

#define OPENS(name) \
    int name(const char *path, int flags, ...) \
    { \
        va_list rest; \
        mode_t mode; \
        va_start(rest, flags); \
        mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
        va_end(rest); \
        if (makes(path, flags)) \
            step("open", path); \
        return REAL(name)(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)

int rename(const char *from, const char *to)
{
    step("rename", to);
    return REAL(rename)(from, to);
}

int unlink(const char *path)
{
    step("unlink", path);
    return REAL(unlink)(path);
}

int rmdir(const char *path)
{
    step("rmdir", path);
    return REAL(rmdir)(path);
}

int symlink(const char *to, const char *path)
{
    step("symlink", path);
    return REAL(symlink)(to, path);
}

int link(const char *from, const char *to)
{
    step("link", to);
    return REAL(link)(from, to);
}

int mkdir(const char *path, mode_t mode)
{
    step("mkdir", path);
    return REAL(mkdir)(path, mode);
}

int chmod(const char *path, mode_t mode)
{
    step("chmod", path);
    return REAL(chmod)(path, mode);
}

int chown(const char *path, uid_t uid, gid_t gid)
{
    step("chown", path);
    return REAL(chown)(path, uid, gid);
}

int fchmod(int fd, mode_t mode)
{
    char path[PATH_MAX];

    step("fchmod", name_of(fd, path));
    return REAL(fchmod)(fd, mode);
}

int fchown(int fd, uid_t uid, gid_t gid)
{
    char path[PATH_MAX];

    step("fchown", name_of(fd, path));
    return REAL(fchown)(fd, uid, gid);
}

int ftruncate64(int fd, off64_t length)
{
    char path[PATH_MAX];

    step("ftruncate", name_of(fd, path));
    return REAL(ftruncate64)(fd, length);
}

ssize_t write(int fd, const void *bytes, size_t length)
{
    char path[PATH_MAX];

    if (is_file(fd) && counts("write", name_of(fd, path))) {
        (void)!REAL(write)(fd, bytes, length / 2);
        end();
    }
    return REAL(write)(fd, bytes, length);
}

ssize_t pwrite64(int fd, const void *bytes, size_t length, off64_t offset)
{
    char path[PATH_MAX];

    if (is_file(fd) && counts("write", name_of(fd, path))) {
        (void)!REAL(pwrite64)(fd, bytes, length / 2, offset);
        end();
    }
    return REAL(pwrite64)(fd, bytes, length, offset);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    char path[PATH_MAX];

    if (is_file(fd))
        step("write", name_of(fd, path));
    return REAL(writev)(fd, parts, count);
}

pid_t fork(void)
{
    step("start", "a program");
    return REAL(fork)();
}
