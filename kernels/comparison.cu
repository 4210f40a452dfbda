// How far two results of one computation are apart.
//
//   squares   = sum_i (actual[i] - expected[i])^2
//   reference = sum_i expected[i]^2
//   largest   = max_i |actual[i] - expected[i]|
//
// Shapes   actual, expected (count) of T; partials (blocks, 3) of double: the three of each block.
// Launch   grid = min(ceil(count / 256), 256), block = 256; each thread strides over the values.
// Traffic  2 * count * sizeof(T) bytes.
// Numerics differences and sums in double; a NaN shows in squares, while largest passes over it.
// Launcher org.unetrpp.backend.cuda.ComparisonKernels#compare
#include "common.cuh"

namespace {

constexpr int kThreads = 256;

template <typename T>
__device__ void comparison(const T* __restrict__ actual, const T* __restrict__ expected,
                           double* __restrict__ partials, long long count) {
  __shared__ double scratch[kWarpSize + 1];
  __shared__ float warp_largest[kThreads / kWarpSize];
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x;

  double squares = 0.0;
  double reference = 0.0;
  float largest = 0.0f;
  for (long long i = thread_in_grid(); i < count; i += step) {
    const double wanted = to_float(expected[i]);
    const double difference = to_float(actual[i]) - wanted;
    squares += difference * difference;
    reference += wanted * wanted;
    largest = fmaxf(largest, fabsf(static_cast<float>(difference)));
  }

  squares = block_sum(squares, scratch);
  reference = block_sum(reference, scratch);
  largest = warp_max(largest);
  if (threadIdx.x % kWarpSize == 0) warp_largest[threadIdx.x / kWarpSize] = largest;
  __syncthreads();
  if (threadIdx.x == 0) {
    for (int warp = 1; warp < kThreads / kWarpSize; ++warp) {
      largest = fmaxf(largest, warp_largest[warp]);
    }
    double* mine = partials + 3 * static_cast<long long>(blockIdx.x);
    mine[0] = squares;
    mine[1] = reference;
    mine[2] = largest;
  }
}

}  // namespace

#define COMPARISON(suffix, T)                                                                \
  ENTRY(comparison_##suffix, kThreads, const T* actual, const T* expected, double* partials, \
        long long count) {                                                                   \
    comparison<T>(actual, expected, partials, count);                                        \
  }

COMPARISON(f32, float)
COMPARISON(bf16, bfloat16)
