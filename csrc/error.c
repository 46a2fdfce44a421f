/* One line a thread: long enough for a path and a sentence, cut off beyond. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char line[1024] = "no error";

int32_t error_set(int32_t status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    for (char *c = line; *c; c++)
        if (*c == '\n' || *c == '\r') *c = ' ';
    return status;
}

int32_t error_memory(int64_t bytes)
{
    return error_set(CEM_EMEMORY,
                     "not enough memory for %lld bytes; close other programs or use "
                     "smaller tiles, crops or batches",
                     (long long)bytes);
}

const char *error_line(void)
{
    return line;
}
