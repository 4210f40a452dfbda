// Tells its version, VERSION, and that of CUDA that it was made for, CUDART.
#include <stddef.h>

size_t cudnnGetVersion(void) { return VERSION; }

size_t cudnnGetCudartVersion(void) { return CUDART; }
