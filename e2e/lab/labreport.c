/*
 * labreport - says how it was run: the program under which tests find out what sudo made of a
 * command line. Static, so that it runs in an empty root too.
 *
 * Prints fields of the form key=value, each ended by NUL: exe (device:inode), uid, gid, cwd,
 * root (device:inode), argv (one field each), env (one field each), and last: end=.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

static void field(const char *key, const char *value)
{
    printf("%s=%s%c", key, value, 0);
}

static void file(const char *key, const char *path, const char *otherwise)
{
    struct stat st;
    char id[64] = "";

    if (stat(path, &st) == 0 || (otherwise != NULL && stat(otherwise, &st) == 0))
        snprintf(id, sizeof id, "%llu:%llu", (unsigned long long)st.st_dev,
                 (unsigned long long)st.st_ino);
    field(key, id);
}

int main(int argc, char *argv[], char *envp[])
{
    char number[32], cwd[4096];

    file("exe", "/proc/self/exe", (const char *)getauxval(AT_EXECFN));
    snprintf(number, sizeof number, "%u", (unsigned)geteuid());
    field("uid", number);
    snprintf(number, sizeof number, "%u", (unsigned)getegid());
    field("gid", number);
    field("cwd", getcwd(cwd, sizeof cwd) != NULL ? cwd : "");
    file("root", "/", NULL);
    for (int i = 0; i < argc; i++)
        field("argv", argv[i]);
    for (char **entry = envp; *entry != NULL; entry++)
        field("env", *entry);
    field("end", "");
    return 0;
}
