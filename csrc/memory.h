/* All memory of the library comes from here: sizes checked for overflow, blocks aligned to a cache
 * line and zeroed, and a hook by which a test makes the k-th allocation fail. */
#ifndef CEM_MEMORY_H
#define CEM_MEMORY_H

#include <stdint.h>

/* count * size zeroed bytes aligned to 64, or NULL with the error line set.  Never NULL for 0. */
void *memory_new(int64_t count, int64_t size);

/* The same without zeroing. */
void *memory_raw(int64_t count, int64_t size);

void memory_free(void *block);

/* Gives what was freed back to the system: an allocator may keep hundreds of MiB between a model
 * and the next one, in a process that has other uses for them. */
void memory_trim(void);

/* A copy of `text`, or NULL with the error line set. */
char *memory_text(const char *text);

/* For tests: the k-th allocation from now on fails (k >= 1); 0 turns it off. */
void memory_fail_at(int64_t k);

/* For tests: blocks not freed yet. */
int64_t memory_live(void);

#endif
