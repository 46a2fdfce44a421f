/* The handles behind the ABI, and what its files share. */
#ifndef CEM_API_H
#define CEM_API_H

#include "cem.h"
#include "handle.h"
#include "model.h"
#include "predict.h"
#include "trainer.h"

struct cem_model {
    struct handle handle;
    struct model *model;
    struct predictor *predictor;
};

struct cem_trainer {
    struct handle handle;
    struct trainer *trainer;
};

/* CEM_EARGUMENT naming the argument if `pointer` is NULL. */
int32_t api_need(const void *pointer, const char *what);

/* Checks the size of an options struct as the caller sees it. */
int32_t api_size(int64_t size, int64_t want, const char *what);

/* Checks a thread count and replaces 0 by the cores. */
int32_t api_threads(int32_t *threads);

/* Checks an array of slices, its type and the intensity that goes with it. */
int32_t api_stack(const struct stack *stack);

#endif
