/* tests/fuzz/replay_main.c -- runs a fuzz target on stored inputs, without libFuzzer
 * SPDX-License-Identifier: Apache-2.0
 *
 * Each argument is a file, or a folder whose files are all run (one that does not exist is empty:
 * a target without past crashes has no such folder). Prints how many inputs there were. Exit code
 * 1 if a file cannot be read or there was none; a finding aborts.
 */
#include <dirent.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static size_t inputs;

/* Runs one file. Returns 0 or -errno. */
static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    struct stat st;
    if (file == NULL || fstat(fileno(file), &st) != 0) {
        int err = -errno;
        if (file != NULL) {
            fclose(file);
        }
        return err;
    }
    /* Exactly as large as the input, so that a sanitizer sees any read beyond it. */
    size_t size = (size_t)st.st_size;
    uint8_t *data = malloc(size > 0 ? size : 1);
    int err = data == NULL ? -ENOMEM : 0;
    if (err == 0 && fread(data, 1, size, file) != size) {
        err = -EIO;
    }
    fclose(file);
    if (err == 0) {
        LLVMFuzzerTestOneInput(data, size);
        inputs++;
    }
    free(data);
    return err;
}

/* Runs a file or all files of a folder. Returns 0 or -errno, with `path` named on stderr. */
static int run_path(const char *path)
{
    DIR *folder = opendir(path);
    if (folder == NULL) {
        int err = errno == ENOTDIR ? run_file(path) : errno == ENOENT ? 0 : -errno;
        if (err != 0) {
            fprintf(stderr, "%s: %s\n", path, strerror(-err));
        }
        return err;
    }
    int err = 0;
    for (struct dirent *entry; err == 0 && (entry = readdir(folder)) != NULL;) {
        if (entry->d_name[0] == '.') {
            continue;
        }
        char file[4096];
        int len = snprintf(file, sizeof(file), "%s/%s", path, entry->d_name);
        err = len < (int)sizeof(file) ? run_file(file) : -ENAMETOOLONG;
        if (err != 0) {
            fprintf(stderr, "%s: %s\n", file, strerror(-err));
        }
    }
    closedir(folder);
    return err;
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        if (run_path(argv[i]) != 0) {
            return 1;
        }
    }
    printf("%zu inputs\n", inputs);
    return inputs > 0 ? 0 : 1;
}
