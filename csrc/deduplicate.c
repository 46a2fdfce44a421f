/* Taking the first that is left as an exemplar and dropping all that are near it, again and again,
 * comes to this: each in its turn belongs to the earliest exemplar that is near, and becomes one
 * if there is none.  So a block can be compared with the exemplars before it in parallel; then its
 * own new exemplars are found one after the other.  Memory is linear in the hashes. */
#include "deduplicate.h"

#include <string.h>

#include "cem.h"
#include "hamming.h"
#include "memory.h"
#include "pool.h"
#include "random.h"

enum { PART = 64, BLOCK_PARTS = 16, MOST_BLOCKS = 1 << 14 };

struct job {
    int64_t *exemplar;
    const uint64_t *hashes;
    const int64_t *order;
    int64_t first, last, block;
    int32_t distance, kernel;
    uint64_t *kept_hashes; /* of the exemplars, in their order */
    int64_t *kept;         /* and their numbers */
    int64_t kept_count;
};

void deduplicate_order(int64_t *order, int64_t count, uint64_t seed)
{
    for (int64_t i = 0; i < count; i++) order[i] = i;
    for (int64_t i = count - 1; i > 0; i--) {
        int64_t j = random_below(seed, 0, (uint64_t)i, i + 1), other = order[j];
        order[j] = order[i];
        order[i] = other;
    }
}

static void keep(struct job *job, int64_t number)
{
    job->kept_hashes[job->kept_count] = job->hashes[number];
    job->kept[job->kept_count++] = number;
}

static int64_t block_end(const struct job *job, int64_t step)
{
    int64_t end = job->first + (step / 2 + 1) * job->block;

    return end < job->last ? end : job->last;
}

/* Even steps compare a block with the exemplars before it, odd ones go through the block. */
static int64_t parts_of(void *context, int64_t step)
{
    const struct job *job = context;
    int64_t length = block_end(job, step) - job->first - step / 2 * job->block;

    return step % 2 ? 1 : (length + PART - 1) / PART;
}

/* Among the exemplars from `from` on; -1 if none is near. */
static int64_t exemplar_of(const struct job *job, int64_t number, int64_t from)
{
    int64_t count = job->kept_count - from;
    int64_t found = hamming_find(job->kernel, job->kept_hashes + from, count, job->hashes[number],
                                 job->distance);

    return found < count ? job->kept[from + found] : -1;
}

static int32_t run_part(void *context, int64_t step, int64_t part, int worker)
{
    struct job *job = context;
    int64_t begin = job->first + step / 2 * job->block, end = block_end(job, step);
    int64_t before = job->kept_count;

    (void)worker;
    if (step % 2 == 0) {
        begin += part * PART;
        if (end > begin + PART) end = begin + PART;
        for (int64_t i = begin; i < end; i++)
            job->exemplar[job->order[i]] = exemplar_of(job, job->order[i], 0);
        return CEM_OK;
    }
    for (int64_t i = begin; i < end; i++) {
        int64_t number = job->order[i], *found = &job->exemplar[number];
        if (*found < 0) *found = exemplar_of(job, number, before);
        if (*found >= 0) continue;
        *found = number;
        keep(job, number);
    }
    return CEM_OK;
}

int32_t deduplicate(int64_t *exemplar, const uint64_t *hashes, const int64_t *order, int64_t first,
                    int64_t last, int32_t distance, int threads)
{
    struct job job = {.exemplar = exemplar,
                      .hashes = hashes,
                      .order = order,
                      .first = first,
                      .last = last,
                      .block = PART * BLOCK_PARTS,
                      .distance = distance,
                      .kernel = hamming_best()};
    struct pool_job pool = {.parts = parts_of, .run = run_part, .context = &job};
    int32_t status = CEM_EMEMORY;

    if (job.block < (last - first) / MOST_BLOCKS) job.block = (last - first) / MOST_BLOCKS;
    pool.steps = 2 * ((last - first + job.block - 1) / job.block);
    if ((job.kept_hashes = memory_raw(last, sizeof *job.kept_hashes)) &&
        (job.kept = memory_raw(last, sizeof *job.kept))) {
        for (int64_t i = 0; i < first; i++)
            if (exemplar[order[i]] == order[i]) keep(&job, order[i]);
        status = pool_run(&pool, threads);
    }
    memory_free(job.kept);
    memory_free(job.kept_hashes);
    return status;
}
