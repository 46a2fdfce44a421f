/* The library's one pool of threads.  A job is a sequence of steps; a step is a number of parts
 * that any worker may take.  The next step starts when the last part of this one is done.  The
 * caller waits; it computes nothing itself, so the host's thread keeps its own settings. */
#ifndef CEM_POOL_H
#define CEM_POOL_H

#include <stdatomic.h>
#include <stdint.h>

struct pool_job {
    int64_t steps; /* below 2^16 */
    /* parts of `step`, at least 1, below 2^24 */
    int64_t (*parts)(void *context, int64_t step);
    /* does one part; `worker` is below the job's threads and no two parts run on one at a time */
    int32_t (*run)(void *context, int64_t step, int64_t part, int worker);
    void *context;
    /* polled between steps and, with `poll_parts`, between parts; NULL never stops */
    const _Atomic int32_t *cancel;
    int32_t poll_parts;
};

/* Runs `job` on `threads` workers (1..POOL_MOST).  The first failure of a part stops the job and is
 * returned, with its error line; a cancel stops it with CEM_ECANCELLED. */
int32_t pool_run(const struct pool_job *job, int threads);

/* One step of `parts` parts. */
int32_t pool_for(int threads, int64_t parts,
                 int32_t (*run)(void *context, int64_t step, int64_t part, int worker),
                 void *context);

enum { POOL_MOST = 256 };

#endif
