/* Workers claim parts from one word, (step, its parts, next part), so that a claim always belongs
 * to the step it names.  Whoever finishes the last part of a step opens the next one.  A worker
 * without a part spins for some microseconds, since steps are short, and then sleeps. */
#include "pool.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cpu.h"
#include "error.h"

enum { SPINS = 400, STACK_BYTES = 4 << 20 };

struct run {
    const struct pool_job *job;
    int threads;            /* at most so many workers */
    bool taken[POOL_MOST];  /* worker numbers in use */
    int workers;            /* how many are in it now */
    bool over;              /* no worker should join */
    _Atomic uint64_t claim; /* see above */
    _Atomic int64_t left;   /* parts of it not done yet */
    _Atomic int32_t status; /* the first failure */
    char line[1024];        /* and its error line */
    struct run *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;  /* a run came or a step opened */
static pthread_cond_t finished = PTHREAD_COND_INITIALIZER; /* the last worker left a run */
static struct run *runs;
static int threads_alive;
static _Atomic int sleepers;

static void forget_after_fork(void)
{
    pthread_mutex_init(&lock, NULL);
    pthread_cond_init(&changed, NULL);
    pthread_cond_init(&finished, NULL);
    runs = NULL;
    threads_alive = 0;
    atomic_store(&sleepers, 0);
}

static void hold_for_fork(void)
{
    pthread_mutex_lock(&lock);
}

static void release_after_fork(void)
{
    pthread_mutex_unlock(&lock);
}

__attribute__((constructor)) static void watch_forks(void)
{
    pthread_atfork(hold_for_fork, release_after_fork, forget_after_fork);
}

enum { STEP_SHIFT = 48, PARTS_SHIFT = 24, PART_MASK = 0xffffff };

static uint64_t word(int64_t step, int64_t parts)
{
    return (uint64_t)step << STEP_SHIFT | (uint64_t)parts << PARTS_SHIFT;
}

static int64_t step_of(uint64_t claim)
{
    return (int64_t)(claim >> STEP_SHIFT);
}

static bool is_over(struct run *run)
{
    return step_of(atomic_load(&run->claim)) >= run->job->steps;
}

static void wake_sleepers(void)
{
    if (atomic_load(&sleepers) == 0) return;
    pthread_mutex_lock(&lock);
    pthread_cond_broadcast(&changed);
    pthread_mutex_unlock(&lock);
}

static void open_step(struct run *run, int64_t step)
{
    const struct pool_job *job = run->job;
    int64_t parts;

    if (step < job->steps && job->cancel && atomic_load(job->cancel)) {
        int32_t none = CEM_OK;
        atomic_compare_exchange_strong(&run->status, &none, CEM_ECANCELLED);
    }
    if (atomic_load(&run->status) != CEM_OK) step = job->steps;
    parts = step < job->steps ? job->parts(job->context, step) : 0;
    atomic_store(&run->left, parts);
    atomic_store(&run->claim, word(step, parts));
    wake_sleepers();
}

static void keep_failure(struct run *run, int32_t status)
{
    int32_t none = CEM_OK;

    pthread_mutex_lock(&lock);
    if (atomic_compare_exchange_strong(&run->status, &none, status))
        snprintf(run->line, sizeof run->line, "%s", error_line());
    pthread_mutex_unlock(&lock);
}

/* Takes a part of the open step, if there is one left. */
static bool claim_part(struct run *run, int64_t *step, int64_t *part)
{
    uint64_t now = atomic_load(&run->claim);

    for (;;) {
        *step = step_of(now);
        *part = (int64_t)(now & PART_MASK);
        if (*part >= (int64_t)(now >> PARTS_SHIFT & PART_MASK)) return false;
        if (atomic_compare_exchange_weak(&run->claim, &now, now + 1)) return true;
    }
}

static void do_part(struct run *run, int64_t step, int64_t part, int worker)
{
    const struct pool_job *job = run->job;
    int32_t status = atomic_load(&run->status);

    if (status == CEM_OK && job->poll_parts && job->cancel && atomic_load(job->cancel))
        keep_failure(run, status = CEM_ECANCELLED);
    if (status == CEM_OK && (status = job->run(job->context, step, part, worker)) != CEM_OK)
        keep_failure(run, status);
    if (atomic_fetch_sub(&run->left, 1) == 1) open_step(run, step + 1);
}

static void wait_for_step(struct run *run, uint64_t seen)
{
    for (int i = 0; i < SPINS; i++) {
        if (step_of(atomic_load(&run->claim)) != step_of(seen)) return;
        __builtin_ia32_pause();
    }
    pthread_mutex_lock(&lock);
    atomic_fetch_add(&sleepers, 1);
    while (step_of(atomic_load(&run->claim)) == step_of(seen)) pthread_cond_wait(&changed, &lock);
    atomic_fetch_sub(&sleepers, 1);
    pthread_mutex_unlock(&lock);
}

static void work_on(struct run *run, int worker)
{
    int64_t step, part;

    for (;;) {
        uint64_t seen = atomic_load(&run->claim);
        if (step_of(seen) >= run->job->steps) return;
        if (claim_part(run, &step, &part)) do_part(run, step, part, worker);
        else wait_for_step(run, seen);
    }
}

/* A run that still wants a worker, its number taken; or NULL.  With the lock held. */
static struct run *join(int *worker)
{
    for (struct run *run = runs; run; run = run->next) {
        if (run->over || run->workers >= run->threads) continue;
        for (*worker = 0; run->taken[*worker];) ++*worker;
        run->taken[*worker] = true;
        run->workers++;
        return run;
    }
    return NULL;
}

static void *worker_main(void *unused)
{
    struct run *run;
    int worker;

    (void)unused;
    cpu_prepare_thread();
    pthread_mutex_lock(&lock);
    for (;;) {
        while (!(run = join(&worker))) {
            atomic_fetch_add(&sleepers, 1);
            pthread_cond_wait(&changed, &lock);
            atomic_fetch_sub(&sleepers, 1);
        }
        pthread_mutex_unlock(&lock);
        work_on(run, worker);
        pthread_mutex_lock(&lock);
        run->over = true;
        run->taken[worker] = false;
        if (--run->workers == 0) pthread_cond_broadcast(&finished);
    }
    return NULL;
}

/* With the lock held.  Fewer threads than asked for still do the work; none is a failure. */
static int32_t start_threads(int threads)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    while (threads_alive < threads && pthread_create(&thread, &attributes, worker_main, NULL) == 0)
        threads_alive++;
    pthread_attr_destroy(&attributes);
    if (threads_alive) return CEM_OK;
    return error_set(CEM_EMEMORY, "no thread can be started; close other programs");
}

static void unlink_run(struct run *run)
{
    struct run **link = &runs;

    while (*link != run) link = &(*link)->next;
    *link = run->next;
}

int32_t pool_run(const struct pool_job *job, int threads)
{
    struct run run = {.job = job, .threads = threads};
    int32_t status;

    if (job->steps == 0) return CEM_OK;
    open_step(&run, 0);
    pthread_mutex_lock(&lock);
    if ((status = start_threads(threads)) == CEM_OK) {
        run.next = runs;
        runs = &run;
        pthread_cond_broadcast(&changed);
        while (!(is_over(&run) && run.workers == 0)) pthread_cond_wait(&finished, &lock);
        unlink_run(&run);
        status = atomic_load(&run.status);
    }
    pthread_mutex_unlock(&lock);
    if (status == CEM_ECANCELLED) return error_set(status, "cancelled");
    return status != CEM_OK && run.line[0] ? error_set(status, "%s", run.line) : status;
}

struct single_step {
    int64_t parts;
    int32_t (*run)(void *context, int64_t step, int64_t part, int worker);
    void *context;
};

static int64_t single_parts(void *context, int64_t step)
{
    (void)step;
    return ((struct single_step *)context)->parts;
}

static int32_t single_run(void *context, int64_t step, int64_t part, int worker)
{
    struct single_step *single = context;

    return single->run(single->context, step, part, worker);
}

int32_t pool_for(int threads, int64_t parts,
                 int32_t (*run)(void *context, int64_t step, int64_t part, int worker),
                 void *context)
{
    struct single_step single = {parts, run, context};
    struct pool_job job = {
        .steps = parts > 0, .parts = single_parts, .run = single_run, .context = &single};

    return pool_run(&job, threads);
}
