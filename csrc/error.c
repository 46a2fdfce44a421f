/* One line a thread: long enough for a path and a sentence, cut off beyond. */
#include "error.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char line[1024] = "no error";

/* Bytes of the printable UTF-8 character at `c`, or 0: a control character, something else, or one
 * that was cut short. */
static int character(const unsigned char *c)
{
    int bytes = c[0] < 0x80 ? 1 : c[0] < 0xc2 ? 0 : c[0] < 0xe0 ? 2 : c[0] < 0xf0 ? 3 : 4;

    if (c[0] < ' ' || c[0] == 0x7f || c[0] > 0xf4) return 0;
    for (int i = 1; i < bytes; i++)
        if ((c[i] & 0xc0) != 0x80) return 0;
    if ((c[0] == 0xc2 && c[1] < 0xa0) || (c[0] == 0xe0 && c[1] < 0xa0) ||
        (c[0] == 0xed && c[1] > 0x9f) || (c[0] == 0xf0 && c[1] < 0x90) ||
        (c[0] == 0xf4 && c[1] > 0x8f))
        return 0;
    return bytes;
}

/* Names out of files and paths may hold anything; the line stays one line of text. */
static void make_printable(char *text)
{
    while (*text) {
        int bytes = character((const unsigned char *)text);
        if (bytes == 0) *text = *text == '\n' || *text == '\r' ? ' ' : '?';
        text += bytes ? bytes : 1;
    }
}

int32_t error_set(int32_t status, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    make_printable(line);
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
