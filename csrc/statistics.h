/* Statistics of a volume's pixels, gathered block by block, and the intensity rule made of them. */
#ifndef CEM_STATISTICS_H
#define CEM_STATISTICS_H

#include "cem.h"

int32_t statistics_add(cem_statistics *statistics, const void *pixels, int32_t type, int64_t count);
int32_t statistics_intensity(cem_intensity *intensity, const cem_statistics *statistics);

/* Mean and deviation of 8-bit pixels in units of 0..1, to six decimals. */
int32_t statistics_norms(double norms[2], const cem_statistics *statistics);

#endif
