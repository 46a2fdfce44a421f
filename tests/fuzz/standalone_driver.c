/* Runs a fuzzer over files, and over those in folders, where there is no libFuzzer: a corpus stays
 * a test for any compiler. */
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Runs one file; true if it could be read. */
static int run_file(const char *path)
{
    FILE *file = fopen(path, "rb");
    uint8_t *data = NULL;
    long size = -1;
    int done = 0;

    if (!file) goto done;
    if (fseek(file, 0, SEEK_END) != 0 || (size = ftell(file)) < 0) goto done;
    rewind(file);
    data = malloc((size_t)size + !size); /* no byte more, so that a sanitizer sees a read beyond */
    if (!data || fread(data, 1, (size_t)size, file) != (size_t)size) goto done;
    (void)LLVMFuzzerTestOneInput(data, (size_t)size);
    done = 1;
done:
    free(data);
    if (file) fclose(file);
    if (!done) fprintf(stderr, "cannot read %s\n", path);
    return done;
}

/* Runs what is at `path`, counts the files that ran, and returns how many could not be read. */
static int run(int *ran, const char *path)
{
    struct stat info;
    struct dirent *entry;
    DIR *folder;
    int failed = 0;

    if (stat(path, &info) != 0 || !S_ISDIR(info.st_mode)) {
        int done = run_file(path);
        *ran += done;
        return !done;
    }
    if (!(folder = opendir(path))) return 1;
    while ((entry = readdir(folder))) {
        char inside[4096];
        if (entry->d_name[0] == '.') continue;
        snprintf(inside, sizeof inside, "%s/%s", path, entry->d_name);
        failed += run(ran, inside);
    }
    closedir(folder);
    return failed;
}

int main(int argc, char **argv)
{
    int ran = 0, failed = 0;

    for (int i = 1; i < argc; i++) failed += run(&ran, argv[i]);
    printf("%d inputs run, %d could not be read\n", ran, failed);
    return failed != 0 || ran == 0;
}
