/* A patch is brought to 224 x 224 (bilinear) and then to 8 rows of 9 (Lanczos); a bit says whether
 * a pixel is brighter than its left neighbour, the first bit being the most significant
 * (N. Krawetz, "Kind of like that", 2013; the CEM500K curation for the sizes). */
#include "dhash.h"

#include "cem.h"
#include "memory.h"
#include "pool.h"
#include "resize.h"

enum { SIDE = 224, ROWS = 8, COLUMNS = 9, CHUNK = 16 };

struct job {
    uint64_t *hashes;
    const uint8_t *patches;
    int64_t count, height, width;
    int direct; /* the patches are 224 x 224 already */
    struct resize to_side, to_hash;
    uint8_t *workspace;
    int64_t worker_bytes; /* a worker's share: the 224 x 224 image, then resize_run's own */
};

static uint64_t bits_of(const uint8_t *pixels)
{
    uint64_t bits = 0;

    for (int row = 0; row < ROWS; row++)
        for (int column = 1; column < COLUMNS; column++, pixels++)
            bits = bits << 1 | (pixels[row + 1] > pixels[row]);
    return bits;
}

static int32_t run_chunk(void *context, int64_t step, int64_t part, int worker)
{
    struct job *job = context;
    uint8_t *image = job->workspace + worker * job->worker_bytes, small[ROWS * COLUMNS];
    int64_t last = (part + 1) * CHUNK < job->count ? (part + 1) * CHUNK : job->count;

    (void)step;
    for (int64_t i = part * CHUNK; i < last; i++) {
        const uint8_t *patch = job->patches + i * job->height * job->width;
        if (!job->direct) resize_run(&job->to_side, image, patch, image + SIDE * SIDE);
        resize_run(&job->to_hash, small, job->direct ? patch : image, image + SIDE * SIDE);
        job->hashes[i] = bits_of(small);
    }
    return CEM_OK;
}

int32_t dhash(uint64_t *hashes, const uint8_t *patches, int64_t count, int64_t height,
              int64_t width, int threads)
{
    struct job job = {.hashes = hashes,
                      .patches = patches,
                      .count = count,
                      .height = height,
                      .width = width,
                      .direct = height == SIDE && width == SIDE};
    int64_t first, second;
    int32_t status;

    if ((status = resize_new(&job.to_side, RESIZE_BILINEAR, height, width, SIDE, SIDE)) != CEM_OK ||
        (status = resize_new(&job.to_hash, RESIZE_LANCZOS, SIDE, SIDE, ROWS, COLUMNS)) != CEM_OK)
        goto done;
    first = resize_workspace(&job.to_side);
    second = resize_workspace(&job.to_hash);
    job.worker_bytes = SIDE * SIDE + (first > second ? first : second);
    if (!(job.workspace = memory_raw(threads, job.worker_bytes))) {
        status = CEM_EMEMORY;
        goto done;
    }
    status = pool_for(threads, (count + CHUNK - 1) / CHUNK, run_chunk, &job);
done:
    memory_free(job.workspace);
    resize_free(&job.to_hash);
    resize_free(&job.to_side);
    return status;
}
