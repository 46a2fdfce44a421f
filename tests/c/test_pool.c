/* The pool: every part once, steps in order, failures and cancels told, jobs side by side, forks.
 */
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cem.h"
#include "check.h"
#include "error.h"
#include "pool.h"

enum { STEPS = 200, MOST_PARTS = 37 };

struct count {
    _Atomic int done[STEPS][MOST_PARTS];
    _Atomic int busy[POOL_MOST];
    _Atomic int wrong;
    int64_t fail_step, fail_part;
    _Atomic int32_t cancel;
    int64_t cancel_step;
};

static int64_t parts_of(void *context, int64_t step)
{
    (void)context;
    return 1 + step % MOST_PARTS;
}

static int32_t run_part(void *context, int64_t step, int64_t part, int worker)
{
    struct count *c = context;

    if (atomic_fetch_add(&c->busy[worker], 1) != 0) atomic_store(&c->wrong, 1);
    for (int64_t p = 0; step > 0 && p < parts_of(context, step - 1); p++)
        if (!atomic_load(&c->done[step - 1][p])) atomic_store(&c->wrong, 2);
    if (step == c->cancel_step) atomic_store(&c->cancel, 1);
    atomic_fetch_add(&c->done[step][part], 1);
    atomic_fetch_sub(&c->busy[worker], 1);
    if (step == c->fail_step && part == c->fail_part)
        return error_set(CEM_EFILE, "part %d failed", (int)part);
    return CEM_OK;
}

static int32_t run(struct count *c, int threads)
{
    struct pool_job job = {
        .steps = STEPS, .parts = parts_of, .run = run_part, .context = c, .cancel = &c->cancel};

    return pool_run(&job, threads);
}

static bool all_done_once(struct count *c)
{
    for (int64_t step = 0; step < STEPS; step++)
        for (int64_t part = 0; part < parts_of(c, step); part++)
            if (c->done[step][part] != 1) return false;
    return !c->wrong;
}

static void every_part_is_done_once_and_steps_follow_each_other(void)
{
    for (int threads = 1; threads <= 5; threads++)
        for (int round = 0; round < 20; round++) {
            struct count c = {.fail_step = -1, .cancel_step = -1};
            CHECK_EQ(run(&c, threads), CEM_OK);
            CHECK(all_done_once(&c));
        }
}

static void the_failure_of_a_part_ends_the_job_with_its_line(void)
{
    struct count c = {.fail_step = 100, .fail_part = 3, .cancel_step = -1};

    CHECK_EQ(run(&c, 3), CEM_EFILE);
    CHECK(strcmp(error_line(), "part 3 failed") == 0);
    CHECK_EQ(c.done[101][0], 0);
}

static void a_cancel_ends_the_job_before_the_next_step(void)
{
    struct count c = {.fail_step = -1, .cancel_step = 50};

    CHECK_EQ(run(&c, 2), CEM_ECANCELLED);
    CHECK_EQ(c.done[50][0], 1);
    CHECK_EQ(c.done[51][0], 0);
}

static void *run_in_thread(void *context)
{
    for (int round = 0; round < 20; round++) {
        struct count c = {.fail_step = -1, .cancel_step = -1};
        if (run(&c, 2) != CEM_OK || !all_done_once(&c)) atomic_store((_Atomic int *)context, 1);
    }
    return NULL;
}

static void jobs_of_several_threads_do_not_disturb_each_other(void)
{
    pthread_t threads[4];
    _Atomic int wrong = 0;

    for (int i = 0; i < 4; i++) pthread_create(&threads[i], NULL, run_in_thread, &wrong);
    for (int i = 0; i < 4; i++) pthread_join(threads[i], NULL);
    CHECK_EQ(wrong, 0);
}

static void a_forked_child_has_a_pool_of_its_own(void)
{
    struct count c = {.fail_step = -1, .cancel_step = -1};
    int status = -1;
    pid_t child = fork();

    if (child == 0) {
        alarm(20);
        _exit(run(&c, 2) == CEM_OK && all_done_once(&c) ? 0 : 1);
    }
    waitpid(child, &status, 0);
    CHECK_EQ(status, 0);
}

int main(void)
{
    RUN(every_part_is_done_once_and_steps_follow_each_other);
    RUN(the_failure_of_a_part_ends_the_job_with_its_line);
    RUN(a_cancel_ends_the_job_before_the_next_step);
    RUN(jobs_of_several_threads_do_not_disturb_each_other);
    RUN(a_forked_child_has_a_pool_of_its_own);
    return CHECK_DONE();
}
