/* OpenMP's runtime binds the main thread to one core when OMP_PROC_BIND is set, before any code of
 * ours runs; threads made later inherit that.  Its list of places still tells all the cores. */
#include "cpu.h"

#include <pthread.h>
#include <sched.h>
#include <xmmintrin.h>

/* libgomp, which comes with oneDNN; its header needs -fopenmp, which nothing here does. */
extern void omp_set_num_threads(int);
extern int omp_get_proc_bind(void);
extern int omp_get_num_places(void);
extern int omp_get_place_num_procs(int);
extern void omp_get_place_proc_ids(int, int *);

enum { ROUND_NEAREST_FLUSH_DENORMALS = 0x9fc0, PLACE_CORES = 1024 };

static void add_place(cpu_set_t *cores, int place)
{
    int ids[PLACE_CORES], count = omp_get_place_num_procs(place);

    if (count > PLACE_CORES) return;
    omp_get_place_proc_ids(place, ids);
    for (int i = 0; i < count; i++) CPU_SET((size_t)ids[i], cores);
}

static void allowed(cpu_set_t *cores)
{
    CPU_ZERO(cores);
    if (omp_get_proc_bind() != 0)
        for (int place = 0; place < omp_get_num_places(); place++) add_place(cores, place);
    if (CPU_COUNT(cores) == 0 && sched_getaffinity(0, sizeof *cores, cores) != 0) CPU_SET(0, cores);
}

int32_t cpu_cores(void)
{
    cpu_set_t cores;

    allowed(&cores);
    return CPU_COUNT(&cores);
}

void cpu_prepare_thread(void)
{
    cpu_set_t cores;

    allowed(&cores);
    pthread_setaffinity_np(pthread_self(), sizeof cores, &cores);
    omp_set_num_threads(1);
    _mm_setcsr(ROUND_NEAREST_FLUSH_DENORMALS);
}
