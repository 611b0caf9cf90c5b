/*
 * Settings of the hooks that a test changes. Never part of a release: an attacker who sets these
 * decides who may become root.
 */
#ifndef IDENTREE_TEST_HOOKS_H
#define IDENTREE_TEST_HOOKS_H

#ifndef IDENTREE_TEST
#error "only builds for tests take settings from the environment"
#endif

#include <stdlib.h>

static inline void test_path(const char **place, const char *name)
{
    const char *value = getenv(name);

    if (value != NULL)
        *place = value;
}

static inline void test_ms(int *place, const char *name)
{
    const char *value = getenv(name);

    if (value != NULL)
        *place = atoi(value);
}

#endif
