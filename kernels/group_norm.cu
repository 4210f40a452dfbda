// Group normalization (Wu and He 2018): mean and biased variance over the voxels and the channels
// of a group, for each item; scale and shift by channel.
//
//   forward   y[b,r,c] = leaky_relu(h[b,r,c] * gamma[c] + beta[c] + residual[b,r,c])
//             h[b,r,c] = (x[b,r,c] - mean[b,g]) * rstd[b,g]          g: group of channel c
//             and the same of the residual, where that has coefficients of its own
//   backward  dx = rstd * (gamma dy - mean(gamma dy) - h * mean(gamma dy h)), means over the group
//             dgamma[c] += sum_b,r dy h        dbeta[c] += sum_b,r dy
//
// A pass over the rows takes moments, a small kernel makes of them what each channel needs, a
// second pass applies it:
//   forward   moments.cu -> group_norm_coefficients -> group_norm_forward; a convolution may have
//             made the coefficients
//   backward  group_norm_comoments -> group_norm_backward_coefficients -> group_norm_backward
//
// Shapes   x, y, residual, dy, dx (items, rows, channels) of T; y may be x or residual, dx may be
//          dy or x; residual may be none; gamma, beta, dgamma, dbeta (channels) of float, or none.
//          Of the forward pass: partials (items, chunks, channels) of (mean, squares), coefficients
//          (items, channels) of (mean, rstd * gamma). Of the backward pass: partials (items,
//          chunks, channels) of (mean of x, squares of x, mean of dy, products), coefficients
//          (items, channels) of (mean, factor of dy, factor of x - mean, constant).
// Launch   passes: grid = (tiles of channels, chunks, items), block = 256, as in rows.cuh;
//          comoments have 20 KB of shared memory.
//          coefficients: grid = (groups, items), block = (32, warps): a warp merges the chunks of
//          one channel after the other. In the backward pass with parameters grid = (groups, 1):
//          the block of a group goes through the items, so that sums over them have one order.
// Traffic  forward 3, with a residual 4, backward 5 * items * rows * channels * sizeof(T) bytes.
// Numerics in float for every T. Products are sums of (x - mean of x) (dy - mean of dy), merged by
//          Chan's formula as squares are, so one pass yields sums of dy h without cancellation.
// Launcher org.unetrpp.backend.cuda.GroupNormKernels
#include "normalization.cuh"

namespace {

constexpr int kWarps = 8;  // at most, of a block that makes coefficients

/// Merges the moments that the first lanes of a block's warps hold; every thread gets them. All
/// threads must call it. scratch holds kWarps of them in shared memory.
__device__ __forceinline__ Moments merge_warps(const Moments& moments, Moments* scratch) {
  if (threadIdx.x == 0) scratch[threadIdx.y] = moments;
  __syncthreads();
  Moments total = scratch[0];
  for (int warp = 1; warp < blockDim.y; warp++) total.add(scratch[warp]);
  return total;
}

template <typename T, int V>
__device__ __forceinline__ void group_norm_forward(const T* x, const float2* coefficients,
                                                   const float* beta, const T* residual,
                                                   const float2* residual_coefficients, T* y,
                                                   long long rows, int chunk, int channels,
                                                   float slope) {
  const RowWalk<V> walk(rows, chunk, channels);
  if (!walk.works) return;
  const long long own = static_cast<long long>(blockIdx.z) * channels + walk.channel;
  const Scaling<V> scaling = Scaling<V>::of(coefficients + own);
  const Scaling<V> scaling_of_residual =
      Scaling<V>::of(residual_coefficients == nullptr ? nullptr : residual_coefficients + own);
  float shift[V];
  load_parameters(beta == nullptr ? nullptr : beta + walk.channel, 0.0f, shift);
  const long long item = blockIdx.z * rows * channels;
  normalize_rows(x + item, scaling, shift, residual == nullptr ? nullptr : residual + item,
                 scaling_of_residual, y + item, slope, channels, walk);
}

/// Moments of x with the mean of dy and their products: sum of (x - mean) (dy - gradient).
struct Comoments {
  float count, mean, squares, gradient, products;

  __device__ __forceinline__ void add(const Comoments& other) {
    if (other.count == 0.0f) return;
    const float total = count + other.count;
    const float weight = other.count / total;
    const float delta = other.mean - mean;
    const float gradient_delta = other.gradient - gradient;
    squares += other.squares + delta * delta * (count * weight);
    products += other.products + delta * gradient_delta * (count * weight);
    mean += delta * weight;
    gradient += gradient_delta * weight;
    count = total;
  }
};

/// Merges those of the 32 lanes; lane 0 gets them. All lanes must call it.
__device__ __forceinline__ Comoments warp_merge(Comoments own) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    const Comoments other = {__shfl_xor_sync(kAllLanes, own.count, offset),
                             __shfl_xor_sync(kAllLanes, own.mean, offset),
                             __shfl_xor_sync(kAllLanes, own.squares, offset),
                             __shfl_xor_sync(kAllLanes, own.gradient, offset),
                             __shfl_xor_sync(kAllLanes, own.products, offset)};
    own.add(other);
  }
  return own;
}

/// What a thread has gathered of V channels.
template <int V>
struct Gathered {
  float count = 0.0f, mean[V] = {}, squares[V] = {}, gradient[V] = {}, products[V] = {};

  /// Merges U more rows.
  template <int U>
  __device__ __forceinline__ void add_rows(const float (&x)[U][V], const float (&dy)[U][V]) {
    const float total = count + U;
    const float weight = U / total;
#pragma unroll
    for (int v = 0; v < V; v++) {
      float sum = 0.0f, gradient_sum = 0.0f;
#pragma unroll
      for (int u = 0; u < U; u++) {
        sum += x[u][v];
        gradient_sum += dy[u][v];
      }
      const float own = sum * (1.0f / U);
      const float own_gradient = gradient_sum * (1.0f / U);
      float own_squares = 0.0f, own_products = 0.0f;
#pragma unroll
      for (int u = 0; u < U; u++) {
        own_squares += (x[u][v] - own) * (x[u][v] - own);
        own_products += (x[u][v] - own) * (dy[u][v] - own_gradient);
      }
      const float delta = own - mean[v];
      const float gradient_delta = own_gradient - gradient[v];
      squares[v] += own_squares + delta * delta * (count * weight);
      products[v] += own_products + delta * gradient_delta * (count * weight);
      mean[v] += delta * weight;
      gradient[v] += gradient_delta * weight;
    }
    count = total;
  }
};

template <typename T, int V>
__device__ __forceinline__ void group_norm_comoments(const T* __restrict__ dy,
                                                     const T* __restrict__ x,
                                                     float4* __restrict__ partials, long long rows,
                                                     int chunk, int channels, Comoments* scratch) {
  const RowWalk<V> walk(rows, chunk, channels);
  const long long step = static_cast<long long>(walk.lanes) * channels;
  long long at = blockIdx.z * rows * channels + walk.start(channels);
  Gathered<V> gathered;
  int row = walk.lane;
#pragma unroll 1
  for (; row + (kPairsAtOnce - 1) * walk.lanes < walk.rows; row += kPairsAtOnce * walk.lanes) {
    float values[kPairsAtOnce][V], gradients[kPairsAtOnce][V];
#pragma unroll
    for (int u = 0; u < kPairsAtOnce; u++) {
      load_pack(x + at + u * step, values[u]);
      load_pack(dy + at + u * step, gradients[u]);
    }
    gathered.add_rows(values, gradients);
    at += kPairsAtOnce * step;
  }
#pragma unroll 1
  for (; row < walk.rows; row += walk.lanes) {
    float values[1][V], gradients[1][V];
    load_pack(x + at, values[0]);
    load_pack(dy + at, gradients[0]);
    gathered.add_rows(values, gradients);
    at += step;
  }

  Comoments states[V];
#pragma unroll
  for (int v = 0; v < V; v++) {
    states[v] = {gathered.count, gathered.mean[v], gathered.squares[v], gathered.gradient[v],
                 gathered.products[v]};
  }
  add_lanes(states, walk, scratch);
  if (!walk.works || walk.lane > 0) return;
  float4* to = partials + (static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * channels;
#pragma unroll
  for (int v = 0; v < V; v++) {
    to[walk.channel + v] =
        make_float4(states[v].mean, states[v].squares, states[v].gradient, states[v].products);
  }
}

template <typename T, int V>
__device__ __forceinline__ void group_norm_backward(const T* dy, const T* x,
                                                    const float4* coefficients, T* dx,
                                                    long long rows, int chunk, int channels) {
  const RowWalk<V> walk(rows, chunk, channels);
  if (!walk.works) return;
  float4 own[V];
#pragma unroll
  for (int v = 0; v < V; v++) {
    own[v] = coefficients[static_cast<long long>(blockIdx.z) * channels + walk.channel + v];
  }
  const long long step = static_cast<long long>(walk.lanes) * channels;
  long long at = blockIdx.z * rows * channels + walk.start(channels);
#pragma unroll 1
  for (int row = walk.lane; row < walk.rows; row += kPairsAtOnce * walk.lanes) {
    float values[kPairsAtOnce][V], gradients[kPairsAtOnce][V];
#pragma unroll
    for (int u = 0; u < kPairsAtOnce; u++) {
      if (row + u * walk.lanes >= walk.rows) continue;
      load_pack(x + at + u * step, values[u]);
      load_pack(dy + at + u * step, gradients[u]);
    }
#pragma unroll
    for (int u = 0; u < kPairsAtOnce; u++) {
      if (row + u * walk.lanes >= walk.rows) continue;
#pragma unroll
      for (int v = 0; v < V; v++) {
        values[u][v] = gradients[u][v] * own[v].y + (values[u][v] - own[v].x) * own[v].z + own[v].w;
      }
      store_pack(dx + at + u * step, values[u]);
    }
    at += kPairsAtOnce * step;
  }
}

}  // namespace

ENTRY(group_norm_coefficients, kWarps* kWarpSize, const float2* partials, const float* gamma,
      float2* coefficients, long long rows, int chunk, int chunks, int channels, int width,
      float epsilon) {
  __shared__ Moments scratch[kWarps];
  const long long item = blockIdx.y;
  const int first = blockIdx.x * width;
  Moments moments = {};
  for (int c = threadIdx.y; c < width; c += blockDim.y) {
    for (int i = threadIdx.x; i < chunks; i += kWarpSize) {
      const float2 partial = partials[(item * chunks + i) * channels + first + c];
      moments.add({rows_of_chunk(i, rows, chunk), partial.x, partial.y});
    }
  }
  const Moments total = merge_warps(warp_merge(moments), scratch);
  const float rstd = rsqrtf(total.squares / total.count + epsilon);
  for (int c = thread_in_block(); c < width; c += block_threads()) {
    const float scale = gamma == nullptr ? rstd : rstd * gamma[first + c];
    coefficients[item * channels + first + c] = make_float2(total.mean, scale);
  }
}

ENTRY_BLOCKS(group_norm_backward_coefficients, kWarps* kWarpSize, 1, const float4* partials,
             const float* gamma, float4* coefficients, float* dgamma, float* dbeta, int items,
             long long rows, int chunk, int chunks, int channels, int width, float epsilon) {
  __shared__ Moments scratch[kWarps];
  __shared__ float sums[kWarpSize + 1];
  const int first = blockIdx.x * width;
  for (long long item = blockIdx.y; item < items; item += gridDim.y) {
    float4* own = coefficients + item * channels + first;
    Moments moments = {};
    for (int c = threadIdx.y; c < width; c += blockDim.y) {
      Comoments channel = {};
      for (int i = threadIdx.x; i < chunks; i += kWarpSize) {
        const float4 partial = partials[(item * chunks + i) * channels + first + c];
        channel.add({rows_of_chunk(i, rows, chunk), partial.x, partial.y, partial.z, partial.w});
      }
      channel = warp_merge(channel);
      moments.add({channel.count, channel.mean, channel.squares});
      if (threadIdx.x == 0) {  // kept here until the moments of the group are known
        own[c] = make_float4(channel.mean, channel.count * channel.gradient, channel.products, 0);
      }
    }
    const Moments total = merge_warps(moments, scratch);
    const float rstd = rsqrtf(total.squares / total.count + epsilon);

    float sum = 0.0f, product = 0.0f;
    for (int c = thread_in_block(); c < width; c += block_threads()) {
      const float4 channel = own[c];
      const float scale = gamma == nullptr ? 1.0f : gamma[first + c];
      const float shift_gradient = channel.y;
      const float scale_gradient =
          rstd * (channel.z + channel.y * (channel.x - total.mean));  // sum of dy h
      if (dgamma != nullptr) dgamma[first + c] += scale_gradient;
      if (dbeta != nullptr) dbeta[first + c] += shift_gradient;
      sum += scale * shift_gradient;
      product += scale * scale_gradient;
    }
    sum = block_sum(sum, sums) / total.count;
    product = block_sum(product, sums) / total.count;
    for (int c = thread_in_block(); c < width; c += block_threads()) {
      const float scale = gamma == nullptr ? 1.0f : gamma[first + c];
      own[c] = make_float4(total.mean, rstd * scale, -rstd * rstd * product, -rstd * sum);
    }
  }
}

#define GROUP_NORM(suffix, T)                                                                     \
  ENTRY(group_norm_forward_##suffix, kRowThreads, const T* x, const float2* coefficients,         \
        const float* beta, const T* residual, const float2* residual_coefficients, T* y,          \
        long long rows, int chunk, int channels, int packed, float slope) {                       \
    if (packed) {                                                                                 \
      group_norm_forward<T, kPack>(x, coefficients, beta, residual, residual_coefficients, y,     \
                                   rows, chunk, channels, slope);                                 \
    } else {                                                                                      \
      group_norm_forward<T, 1>(x, coefficients, beta, residual, residual_coefficients, y, rows,   \
                               chunk, channels, slope);                                           \
    }                                                                                             \
  }                                                                                               \
  ENTRY(group_norm_comoments_##suffix, kRowThreads, const T* dy, const T* x, float4* partials,    \
        long long rows, int chunk, int channels, int packed) {                                    \
    __shared__ Comoments scratch[kPack * kRowThreads];                                            \
    if (packed) {                                                                                 \
      group_norm_comoments<T, kPack>(dy, x, partials, rows, chunk, channels, scratch);            \
    } else {                                                                                      \
      group_norm_comoments<T, 1>(dy, x, partials, rows, chunk, channels, scratch);                \
    }                                                                                             \
  }                                                                                               \
  ENTRY(group_norm_backward_##suffix, kRowThreads, const T* dy, const T* x,                       \
        const float4* coefficients, T* dx, long long rows, int chunk, int channels, int packed) { \
    if (packed) {                                                                                 \
      group_norm_backward<T, kPack>(dy, x, coefficients, dx, rows, chunk, channels);              \
    } else {                                                                                      \
      group_norm_backward<T, 1>(dy, x, coefficients, dx, rows, chunk, channels);                  \
    }                                                                                             \
  }

GROUP_NORM(f32, float)
GROUP_NORM(bf16, bfloat16)
