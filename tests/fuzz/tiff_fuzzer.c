/* Opens any bytes as a TIFF and reads its pages, each into memory of exactly its size. */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pixels.h"
#include "tiff.h"

enum { PAGE_BYTES_MAX = 1 << 20, PAGES_MAX = 8 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void read_pages(struct tiff *tiff)
{
    cem_tiff_info info;
    int64_t page_bytes;
    void *pixels;

    tiff_describe(&info, tiff);
    if (info.height > PAGE_BYTES_MAX / 8 / info.width) return;
    page_bytes = info.height * info.width * pixels_size(info.type);
    pixels = malloc((size_t)page_bytes);
    for (int64_t i = 0; pixels && i < info.pages && i < PAGES_MAX; i++)
        tiff_read(pixels, tiff, info.pages - 1 - i);
    free(pixels);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    int fd = memfd_create("tiff", MFD_CLOEXEC);
    struct tiff *tiff = NULL;
    char path[64];

    if (fd < 0) abort();
    if (write(fd, bytes, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    if (tiff_open(&tiff, path) == CEM_OK) read_pages(tiff);
    tiff_free(tiff);
    close(fd);
    return 0;
}
