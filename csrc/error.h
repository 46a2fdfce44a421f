/* The status and the one line that goes with it, kept by thread. */
#ifndef CEM_ERROR_H
#define CEM_ERROR_H

#include "cem.h"

/* Sets this thread's line, printf-like, and returns `status`.  The text is one line, says the
 * offending value and the remedy, and names no function. */
int32_t error_set(int32_t status, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Sets the line for a failed allocation of `bytes` and returns CEM_EMEMORY. */
int32_t error_memory(int64_t bytes);

const char *error_line(void);

#endif
