/* What this process may compute on, and how a thread of ours is set up for it. */
#ifndef CEM_CPU_H
#define CEM_CPU_H

#include <stdint.h>

/* Loops that the compiler vectorises across independent elements: built for several instruction
 * sets, chosen when the library is loaded.  Nothing is reassociated, so all give the same bits. */
#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__) &&      \
    !defined(__clang__)
#define CPU_VECTORISED __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define CPU_VECTORISED
#endif

/* Cores this process may use, at least 1: its affinity, before OpenMP bound the main thread. */
int32_t cpu_cores(void);

/* Prepares the calling thread, one of ours: it may run on all those cores, oneDNN computes on it
 * alone, and floating point is round-to-nearest with denormals flushed, whatever the host set. */
void cpu_prepare_thread(void);

#endif
