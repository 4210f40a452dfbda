// Layer normalization over the last axis (Ba et al. 2016, arXiv 1607.06450, eq. 3), its gradient.
//
//   forward   y[r,c] = h[r,c] * gamma[c] + beta[c]        h[r,c] = (x[r,c] - mean[r]) * rstd[r]
//             mean[r] = sum_c x[r,c] / C
//             rstd[r] = 1 / sqrt(sum_c (x[r,c] - mean[r])^2 / C + epsilon)
//   backward  dx[r,c] = rstd[r] * (g[r,c] - sum_c g[r,c] / C - h[r,c] * sum_c g[r,c] h[r,c] / C)
//             g[r,c] = dy[r,c] * gamma[c]
//             dgamma[c] += sum_r dy[r,c] h[r,c]           dbeta[c] += sum_r dy[r,c]
//
// Shapes   x, y, dy, dx (rows, channels) of T, contiguous, y may be x, dx may be dy; gamma, beta,
//          dgamma, dbeta (channels) of float; partials (blocks, 2, channels), of dgamma and dbeta.
// Launch   forward: one warp per row: grid = ceil(rows / 8), block = (32, 8), no shared memory.
//          backward: lanes threads per row, a power of two up to a warp, each with K packs of V
//          channels, lanes * V apart: 4 channels at a time, or 1 where they do not come in fours;
//          at most kMostChannels in all. A block takes a chunk of rows; block = (32, 8), 16 KB of
//          shared memory. Then layer_norm_backward_parameters adds up the blocks: one warp per
//          channel of each, grid = ceil(2 * channels / 8), block = (32, 8).
// Traffic  forward 2 * rows * channels * sizeof(T) + 8 * channels bytes; x is read three times, the
//          second and third time from L1. Backward 3 * rows * channels * sizeof(T) bytes.
// Numerics accumulates in float for every T; two-pass variance, no E[x^2] - E[x]^2 cancellation.
//          Parameter gradients: over the rows of a thread, of a warp, of a block, then over the
//          blocks, in fixed order.
// Launcher org.unetrpp.backend.cuda.LayerNormKernels
#include "rows.cuh"

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

constexpr int kMostChannels = 512;  // of the backward pass
constexpr int kWarps = 8;

template <typename T, int V, int K>
__device__ __forceinline__ void layer_norm_backward(const T* dy, const T* x, const float* gamma,
                                                    T* dx, float* partials, long long rows,
                                                    long long chunk, int channels, int lanes,
                                                    float epsilon) {
  __shared__ float sums[kWarps][kMostChannels];
  const int lane = threadIdx.x & (lanes - 1);
  const int rows_of_warp = kWarpSize / lanes;
  const int row_of_block = (threadIdx.y * kWarpSize + threadIdx.x) / lanes;
  const long long first = blockIdx.x * chunk;
  const long long end = min(rows, first + chunk);

  constexpr bool kHoldsScale = K * V <= 8;  // else registers are better used
  float scale[K][V], dgamma[K][V] = {}, dbeta[K][V] = {};
  auto load_scale = [&](int k) {
    const int c = (lane + k * lanes) * V;
    load_parameters(c < channels ? gamma + c : nullptr, 0.0f, scale[k]);
  };
  if (kHoldsScale) {
#pragma unroll
    for (int k = 0; k < K; k++) load_scale(k);
  }

  for (long long base = first; base < end; base += kWarps * rows_of_warp) {
    const long long row = base + row_of_block;
    const bool exists = row < end;  // lanes without a row stay, so that shuffles stay legal
    float values[K][V], gradients[K][V];
    float sum = 0.0f;
#pragma unroll
    for (int k = 0; k < K; k++) {
      const int c = (lane + k * lanes) * V;
#pragma unroll
      for (int v = 0; v < V; v++) values[k][v] = gradients[k][v] = 0.0f;
      if (exists && c < channels) {
        load_pack(x + row * channels + c, values[k]);
        load_pack(dy + row * channels + c, gradients[k]);
      }
#pragma unroll
      for (int v = 0; v < V; v++) sum += values[k][v];
    }
    const float mean = lanes_sum(sum, lanes) / channels;

    float squares = 0.0f;
#pragma unroll
    for (int k = 0; k < K; k++) {
      if ((lane + k * lanes) * V >= channels) continue;
#pragma unroll
      for (int v = 0; v < V; v++) {
        values[k][v] -= mean;
        squares += values[k][v] * values[k][v];
      }
    }
    const float rstd = rsqrtf(lanes_sum(squares, lanes) / channels + epsilon);

    float gradient_sum = 0.0f, product_sum = 0.0f;
#pragma unroll
    for (int k = 0; k < K; k++) {
      if (!kHoldsScale) load_scale(k);
#pragma unroll
      for (int v = 0; v < V; v++) {
        values[k][v] *= rstd;  // h from here on
        if (exists) {
          dgamma[k][v] += gradients[k][v] * values[k][v];
          dbeta[k][v] += gradients[k][v];
        }
        gradients[k][v] *= scale[k][v];
        gradient_sum += gradients[k][v];
        product_sum += gradients[k][v] * values[k][v];
      }
    }
    const float mean_gradient = lanes_sum(gradient_sum, lanes) / channels;
    const float mean_product = lanes_sum(product_sum, lanes) / channels;
    if (!exists) continue;
#pragma unroll
    for (int k = 0; k < K; k++) {
      const int c = (lane + k * lanes) * V;
      if (c >= channels) continue;
#pragma unroll
      for (int v = 0; v < V; v++) {
        gradients[k][v] = rstd * (gradients[k][v] - mean_gradient - values[k][v] * mean_product);
      }
      store_pack(dx + row * channels + c, gradients[k]);
    }
  }

  float* to = partials + static_cast<long long>(blockIdx.x) * 2 * channels;
  for (int which = 0; which < 2; which++) {
#pragma unroll
    for (int k = 0; k < K; k++) {
#pragma unroll
      for (int v = 0; v < V; v++) {
        float sum = which == 0 ? dgamma[k][v] : dbeta[k][v];
        for (int offset = lanes; offset < kWarpSize; offset *= 2) {
          sum += __shfl_xor_sync(kAllLanes, sum, offset);
        }
        const int c = (lane + k * lanes) * V + v;
        if (threadIdx.x < lanes && c < channels) sums[threadIdx.y][c] = sum;
      }
    }
    __syncthreads();
    for (int c = thread_in_block(); c < channels; c += block_threads()) {
      float sum = 0.0f;
      for (int warp = 0; warp < kWarps; warp++) sum += sums[warp][c];
      to[which * channels + c] = sum;
    }
    __syncthreads();
  }
}

}  // namespace

#define LAYER_NORM(suffix, T)                                                                      \
  ENTRY(layer_norm_forward_##suffix, 256, const T* x, const float* gamma, const float* beta, T* y, \
        long long rows, int channels, float epsilon) {                                             \
    layer_norm_forward<T>(x, gamma, beta, y, rows, channels, epsilon);                             \
  }

LAYER_NORM(f32, float)
LAYER_NORM(bf16, bfloat16)

// named after what a lane holds: packs of 4 channels, or single ones
#define LAYER_NORM_BACKWARD(name, T, V, K)                                                         \
  ENTRY(layer_norm_backward_##name, kWarps* kWarpSize, const T* dy, const T* x,                    \
        const float* gamma, T* dx, float* partials, long long rows, long long chunk, int channels, \
        int lanes, float epsilon) {                                                                \
    layer_norm_backward<T, V, K>(dy, x, gamma, dx, partials, rows, chunk, channels, lanes,         \
                                 epsilon);                                                         \
  }

LAYER_NORM_BACKWARD(packs1_f32, float, kPack, 1)
LAYER_NORM_BACKWARD(packs2_f32, float, kPack, 2)
LAYER_NORM_BACKWARD(packs4_f32, float, kPack, 4)
LAYER_NORM_BACKWARD(singles4_f32, float, 1, 4)
LAYER_NORM_BACKWARD(singles16_f32, float, 1, 16)
LAYER_NORM_BACKWARD(packs1_bf16, bfloat16, kPack, 1)
LAYER_NORM_BACKWARD(packs2_bf16, bfloat16, kPack, 2)
LAYER_NORM_BACKWARD(packs4_bf16, bfloat16, kPack, 4)
LAYER_NORM_BACKWARD(singles4_bf16, bfloat16, 1, 4)
LAYER_NORM_BACKWARD(singles16_bf16, bfloat16, 1, 16)

ENTRY(layer_norm_backward_parameters, 256, const float* partials, float* dgamma, float* dbeta,
      int blocks, int channels) {
  const int column = blockIdx.x * blockDim.y + threadIdx.y;
  if (column >= 2 * channels) return;  // whole warps leave together
  const float sum = warp_column_sum(partials, blocks, 2 * channels, column);
  if (threadIdx.x > 0) return;
  if (column < channels) {
    dgamma[column] += sum;
  } else {
    dbeta[column - channels] += sum;
  }
}
