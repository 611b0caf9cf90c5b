/* Runs a harness without libFuzzer: each file, each prefix of it, each byte replaced. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_INPUT 65536

/* An exact copy on the heap, so that the sanitizer sees a read past its end. */
static void run(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size > 0 ? size : 1);

    if (copy == NULL)
        abort();
    memcpy(copy, data, size);
    (void)LLVMFuzzerTestOneInput(copy, size);
    free(copy);
}

int main(int argc, char **argv)
{
    static const uint8_t replacements[] = {0x00, 0x01, 0x20, 0x29, 0x2d, 0x30, 0x39, 0x41,
                                           0x54, 0x56, 0x7f, 0x80, 0xff};
    static uint8_t data[MAX_INPUT];
    size_t runs = 0;

    for (int i = 1; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        size_t size, edge;

        if (file == NULL) {
            perror(argv[i]);
            return 1;
        }
        size = fread(data, 1, sizeof data, file);
        (void)fclose(file);
        run(data, size);
        edge = size < 600 ? size : 600;
        for (size_t n = 0; n < edge; n++, runs++)
            run(data, n);
        for (size_t at = 0; at < edge; at++) {
            uint8_t kept = data[at];

            for (size_t r = 0; r < sizeof replacements; r++, runs++) {
                data[at] = replacements[r];
                run(data, size);
            }
            data[at] = kept;
        }
    }
    printf("%d files, %zu inputs\n", argc - 1, runs + (size_t)(argc - 1));
    return 0;
}
