// Batch normalization with given statistics (Ioffe and Szegedy 2015), and moving them.
//
//   fold     of the convolution before: weight'[c,i] = weight[c,i] * scale[c]
//            bias'[c] = beta[c] - mean[c] * scale[c]
//            scale[c] = gamma[c] / sqrt(variance[c] + epsilon)
//   forward  y[r,c] = leaky_relu((x[r,c] - mean[c]) * gamma[c] / sqrt(variance[c] + epsilon)
//                                + beta[c] + residual[r,c])
//   update   mean[c]     += momentum * (m[c] - mean[c])              m: mean of x[:,c]
//            variance[c] += momentum * (s[c] / (rows - 1) - variance[c])
//            s: sum of squared deviations of x[:,c] from m[c]
//
// Shapes   x, y, residual (rows, channels) of T, y may be x or residual, residual may be none;
//          gamma, beta, mean, variance (channels) of float; partials (chunks, channels) as
//          moments.cu leaves them; weight (channels, values / channels), folded (values + channels),
//          weights and then biases.
// Launch   forward: grid = (tiles of channels, chunks), block = 256, as in rows.cuh.
//          fold: a thread for each value of folded.
//          update: one warp per channel: grid = ceil(channels / 8), block = (32, 8).
// Traffic  forward: 2 * rows * channels * sizeof(T) bytes, with a residual 3.
// Numerics in float for every T; a slope of 1 is no activation, and then exactly none.
// Launcher org.unetrpp.backend.cuda.BatchNormKernels
#include "normalization.cuh"

namespace {

template <typename T, int V>
__device__ __forceinline__ void batch_norm_forward(const T* x, const float* gamma,
                                                   const float* beta, const float* mean,
                                                   const float* variance, const T* residual, T* y,
                                                   long long rows, int chunk, int channels,
                                                   float epsilon, float slope) {
  const RowWalk<V> walk(rows, chunk, channels);
  if (!walk.works) return;
  Scaling<V> scaling;
  float shift[V];
#pragma unroll
  for (int v = 0; v < V; v++) {
    const int c = walk.channel + v;
    scaling.mean[v] = mean[c];
    scaling.scale[v] = gamma[c] * rsqrtf(variance[c] + epsilon);
    shift[v] = beta[c];
  }
  normalize_rows(x, scaling, shift, residual, Scaling<V>::of(nullptr), y, slope, channels, walk);
}

}  // namespace

#define BATCH_NORM(suffix, T)                                                                      \
  ENTRY(batch_norm_forward_##suffix, kRowThreads, const T* x, const float* gamma,                  \
        const float* beta, const float* mean, const float* variance, const T* residual, T* y,      \
        long long rows, int chunk, int channels, int packed, float epsilon, float slope) {         \
    if (packed) {                                                                                  \
      batch_norm_forward<T, kPack>(x, gamma, beta, mean, variance, residual, y, rows, chunk,       \
                                   channels, epsilon, slope);                                      \
    } else {                                                                                       \
      batch_norm_forward<T, 1>(x, gamma, beta, mean, variance, residual, y, rows, chunk, channels, \
                               epsilon, slope);                                                    \
    }                                                                                              \
  }

BATCH_NORM(f32, float)
BATCH_NORM(bf16, bfloat16)

ENTRY(batch_norm_fold, 256, const float* weight, const float* gamma, const float* beta,
      const float* mean, const float* variance, float* folded, long long values, int channels,
      float epsilon) {
  const long long i = thread_in_grid();
  if (i >= values + channels) return;
  const long long c = i < values ? i / (values / channels) : i - values;
  const float scale = gamma[c] * rsqrtf(variance[c] + epsilon);
  folded[i] = i < values ? weight[i] * scale : beta[c] - mean[c] * scale;
}

ENTRY(batch_norm_update, 256, const float2* partials, float* mean, float* variance, long long rows,
      int chunk, int chunks, int channels, float momentum) {
  const int channel = blockIdx.x * blockDim.y + threadIdx.y;
  if (channel >= channels) return;  // whole warps leave together, so warp_merge stays legal
  Moments moments = {};
  for (int i = threadIdx.x; i < chunks; i += kWarpSize) {
    const float2 partial = partials[static_cast<long long>(i) * channels + channel];
    moments.add({rows_of_chunk(i, rows, chunk), partial.x, partial.y});
  }
  moments = warp_merge(moments);
  if (threadIdx.x > 0) return;
  mean[channel] += momentum * (moments.mean - mean[channel]);
  variance[channel] += momentum * (moments.squares / (rows - 1) - variance[channel]);
}
