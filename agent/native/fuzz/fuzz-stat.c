/*
 * /proc/PID/stat of a process that chose its own name. The fields are taken as they come
 * after the last parenthesis, so the same line with another name must give the same answer.
 */
#include "parent.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char hostile[] = "1 (a) R 1 1 1 1 1 1) S 0 0";
    static char other[4096];
    struct proc_stat first, second;
    const uint8_t *close = NULL;
    size_t tail;
    bool ok = proc_stat_parse((const char *)data, size, &first);

    for (size_t i = 0; i < size; i++)
        if (data[i] == ')')
            close = data + i;
    if (close == NULL) {
        if (ok)
            abort();
        return 0;
    }
    tail = size - (size_t)(close - data);
    if (tail > sizeof other - sizeof hostile)
        return 0;
    memcpy(other, hostile, sizeof hostile - 1);
    memcpy(other + sizeof hostile - 1, close, tail);
    if (proc_stat_parse(other, sizeof hostile - 1 + tail, &second) != ok ||
        (ok && (first.pgrp != second.pgrp || first.tty_nr != second.tty_nr ||
                first.tpgid != second.tpgid || first.start != second.start)))
        abort();
    return 0;
}
