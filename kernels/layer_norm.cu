// Layer normalization over the last axis (Ba et al. 2016, arXiv 1607.06450, eq. 3).
//
//   y[r,c] = (x[r,c] - mean[r]) * rstd[r] * gamma[c] + beta[c]
//   mean[r] = sum_c x[r,c] / C        rstd[r] = 1 / sqrt(sum_c (x[r,c] - mean[r])^2 / C + epsilon)
//
// Shapes   x, y (rows, channels) of T, contiguous, y may be x; gamma, beta (channels) of float.
// Launch   one warp per row: grid = ceil(rows / 8), block = (32, 8), no shared memory.
// Traffic  2 * rows * channels * sizeof(T) + 8 * channels bytes; x is read three times, the second
//          and third time from L1.
// Numerics accumulates in float for every T; two-pass variance, no E[x^2] - E[x]^2 cancellation.
// Launcher org.unetrpp.backend.cuda.LayerNormKernels#forward
#include "common.cuh"

namespace {

template <typename T>
__device__ void layer_norm_forward(const T* x, const float* __restrict__ gamma,
                                   const float* __restrict__ beta, T* y, long long rows,
                                   int channels, float epsilon) {
  const long long row = static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y;
  if (row >= rows) return;  // whole warps leave together, so warp_sum stays legal
  const T* x_row = x + row * channels;
  T* y_row = y + row * channels;

  float sum = 0.0f;
  for (int c = threadIdx.x; c < channels; c += kWarpSize) sum += to_float(x_row[c]);
  const float mean = warp_sum(sum) / channels;

  float squares = 0.0f;
  for (int c = threadIdx.x; c < channels; c += kWarpSize) {
    const float centered = to_float(x_row[c]) - mean;
    squares += centered * centered;
  }
  const float rstd = rsqrtf(warp_sum(squares) / channels + epsilon);

  for (int c = threadIdx.x; c < channels; c += kWarpSize) {
    y_row[c] = from_float<T>((to_float(x_row[c]) - mean) * rstd * gamma[c] + beta[c]);
  }
}

}  // namespace

#define LAYER_NORM(suffix, T)                                                               \
  ENTRY(layer_norm_forward_##suffix, 256, const T* x, const float* gamma, const float* beta, \
        T* y, long long rows, int channels, float epsilon) {                                \
    layer_norm_forward<T>(x, gamma, beta, y, rows, channels, epsilon);                      \
  }

LAYER_NORM(f32, float)
LAYER_NORM(bf16, bfloat16)
