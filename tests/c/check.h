/* A test program in forty lines.  A test is a `static void a_sentence(void)`; inside it, CHECK and
 * CHECK_EQ say what must hold and end the test at the first thing that does not.
 *
 *     int main(void)
 *     {
 *         RUN(an_empty_file_is_refused);
 *         return CHECK_DONE();
 *     }
 *
 * Included once, by the test's only file. */
#ifndef CEM_CHECK_H
#define CEM_CHECK_H

#include <inttypes.h>
#include <stdio.h>

static int check_passed, check_failed, check_bad;

/* Ends the test unless `condition` holds. */
#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                         \
            check_bad = 1;                                                                         \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Ends the test unless the integers `have` and `want` are equal; says both. */
#define CHECK_EQ(have, want)                                                                       \
    do {                                                                                           \
        const int64_t check_have = (int64_t)(have), check_want = (int64_t)(want);                  \
        if (check_have != check_want) {                                                            \
            printf("%s:%d: %s is %" PRId64 ", not %" PRId64 "\n", __FILE__, __LINE__, #have,       \
                   check_have, check_want);                                                        \
            check_bad = 1;                                                                         \
            return;                                                                                \
        }                                                                                          \
    } while (0)

/* Runs one test; its name is printed if it fails. */
#define RUN(test)                                                                                  \
    do {                                                                                           \
        check_bad = 0;                                                                             \
        test();                                                                                    \
        if (check_bad) printf("FAILED %s\n", #test);                                               \
        check_failed += check_bad;                                                                 \
        check_passed += !check_bad;                                                                \
        fflush(stdout);                                                                            \
    } while (0)

/* Prints the sum and is main's result. */
#define CHECK_DONE()                                                                               \
    (printf("%d passed, %d failed\n", check_passed, check_failed), check_failed != 0)

#endif
