/* A program: ops over one arena, for one size of image, in the order in which they run.
 *
 *   program_build.c  makes it from the network's table
 *   program_run.c    runs it
 *
 * A program is immutable and may be run by several threads at once, each with a frame of its own.
 */
#ifndef CEM_PROGRAM_H
#define CEM_PROGRAM_H

#include <stdatomic.h>

#include "arena.h"
#include "model.h"
#include "op.h"

enum program_kind {
    PROGRAM_PREDICT,    /* image -> logits */
    PROGRAM_ENCODE,     /* image -> f1..f5 */
    PROGRAM_DECODE,     /* f1..f5 -> logits */
    PROGRAM_STATISTICS, /* image -> statistics of the encoder's batch norms */
    PROGRAM_TRAIN       /* image or f1..f5 -> logits, then their gradient -> all gradients */
};

struct program_options {
    int kind;
    int64_t samples;
    int64_t height, width; /* multiples of 32 */
    bool from_features;    /* PROGRAM_TRAIN: the encoder is left out */
    int first_stage;       /* PROGRAM_TRAIN: see cem_trainer_options */
    bool train_norms;
};

/* A kernel's phase: what the pool runs between two of its barriers. */
struct phase {
    int op, slot, number;
};

struct program {
    const struct network *network; /* has to outlive the program */
    struct program_options options;
    struct op *ops;
    int op_count;
    struct value *values;
    int value_count;
    struct phase *phases;
    int phase_count, forward_phases;
    int image;                    /* values, or OP_NONE */
    int features[NETWORK_BLOCKS]; /* f1..f5, if they go in or out */
    int logits, logits_gradient;
    int64_t arena, workspace, packed; /* bytes */
};

int32_t program_new(struct program **out, const struct network *network,
                    const struct program_options *options, int threads);
void program_free(struct program *program);

/* Packed weights: immutable once they are shared, freed with the last reference. */
struct packed {
    _Atomic int32_t references;
    uint64_t version, encoder; /* of the parameters they were made from */
    char *block;
};

int32_t packed_new(struct packed **out, const struct program *program,
                   const struct parameters *parameters, int threads);
struct packed *packed_share(struct packed *packed);
void packed_free(struct packed *packed);

/* Packs again, into `packed` of which nobody else has a reference, what trains. */
int32_t packed_renew(struct packed *packed, const struct program *program,
                     const struct parameters *parameters, int threads);

/* Memory for one run at a time. */
struct frame {
    char *arena;
    char *workspace; /* (workers) of program->workspace bytes */
};

int32_t frame_new(struct frame *out, const struct program *program, int workers);
void frame_free(struct frame *frame);
float *frame_value(const struct frame *frame, const struct program *program, int value);

struct program_run {
    const struct program *program;
    const struct frame *frame;
    const struct packed *packed;
    const struct parameters *parameters; /* training: gamma and beta */
    float *gradient;                     /* training: (network->parameters - origin) */
    int64_t origin;                      /* place in the blob where gradient and batch begin */
    float *batch;    /* training: statistics of the batch, places as in the blob */
    int first, last; /* phases */
};

/* Splits every op over `threads` workers.  `cancel`, or NULL, is polled between ops. */
int32_t program_run(const struct program_run *run, int threads, const _Atomic int32_t *cancel);

/* Runs on the calling thread, one of the pool's. */
int32_t program_run_alone(const struct program_run *run, const _Atomic int32_t *cancel);

#endif
