// A libcublas.so or a libcusolver.so that has all functions. What says its version says 13.14.15, the others
// must not be called.
#include "cuda/libraries.h"

#ifdef OPTNET_COMPLETE_CUBLAS
#define OPTNET_FUNCTIONS OPTNET_CUBLAS_FUNCTIONS
#define OPTNET_ROUTINES OPTNET_CUBLAS_ROUTINES
#else
#define OPTNET_FUNCTIONS OPTNET_CUSOLVER_FUNCTIONS
#define OPTNET_ROUTINES OPTNET_CUSOLVER_ROUTINES
#endif

// Under a name of ours, as the headers declare theirs with other arguments.
#define OPTNET_DEFINE(name, function)                                                                       \
  extern "C" __attribute__((visibility("default"))) int complete_##function(int part,                       \
                                                                            int* value) __asm__(#function); \
  int complete_##function(int part, int* value) {                                                           \
    *value = 13 + part;                                                                                     \
    return 0;                                                                                               \
  }

OPTNET_FUNCTIONS(OPTNET_DEFINE)
OPTNET_ROUTINES(OPTNET_DEFINE, D)
OPTNET_ROUTINES(OPTNET_DEFINE, S)
