/* Pixels of any type as 8 bits, by the rules of the CEM500K curation. */
#ifndef CEM_EIGHT_BIT_H
#define CEM_EIGHT_BIT_H

#include <stdint.h>

/* CEM_IMAGE: the rule for a single image; CEM_VOLUME: the rule for a slice of a volume. */
int32_t eight_bit(uint8_t *out, const void *pixels, int32_t type, int64_t count, int32_t rule);

#endif
