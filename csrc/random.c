/* The mixing function is SplitMix64's finaliser (Steele, Lea, Flood 2014), applied once for each of
 * seed, stream and index. */
#include "random.h"

static uint64_t mix(uint64_t z)
{
    z += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t random_bits(uint64_t seed, uint64_t stream, uint64_t index)
{
    return mix(mix(mix(seed) ^ stream) ^ index);
}

double random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    return (double)(random_bits(seed, stream, index) >> 11) * 0x1p-53;
}

int64_t random_below(uint64_t seed, uint64_t stream, uint64_t index, int64_t n)
{
    __extension__ typedef unsigned __int128 wide;
    return (int64_t)((wide)random_bits(seed, stream, index) * (uint64_t)n >> 64);
}

double random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    int64_t sum = 0;

    for (uint64_t i = 0; i < 3; i++)
        for (uint64_t bits = random_bits(seed, stream, index * 3 + i), lane = 0; lane < 4; lane++)
            sum += (int64_t)(bits >> 16 * lane & 0xffff);
    return (double)(sum - 6 * 0xffff) * 0x1p-16;
}
