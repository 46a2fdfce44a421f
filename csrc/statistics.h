/* Statistics of a volume's pixels, gathered block by block, and the intensity rule made of them. */
#ifndef CEM_STATISTICS_H
#define CEM_STATISTICS_H

#include "cem.h"

int32_t statistics_add(cem_statistics *statistics, const void *pixels, int32_t type, int64_t count);
int32_t statistics_intensity(cem_intensity *intensity, const cem_statistics *statistics);

#endif
