// Every function of the algorithm is marked with OPTNET_FUNCTION, the large ones that are called more than
// once with OPTNET_LARGE_FUNCTION: a compiler that has to be told where a function runs is told there.
#pragma once

#ifndef OPTNET_FUNCTION
#define OPTNET_FUNCTION
#define OPTNET_LARGE_FUNCTION [[gnu::noinline]]
#endif
