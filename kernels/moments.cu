// Mean and squared deviations of each channel, for chunks of rows: what normalizations over voxels
// begin with.
//
//   mean[b,i,c] = sum_r x[b,r,c] / n      squares[b,i,c] = sum_r (x[b,r,c] - mean[b,i,c])^2
//   over the n rows r of chunk i: those from i * chunk on, the last chunk may have fewer
//
// Shapes   x (items, rows, channels) of T; partials (items, chunks, channels) of (mean, squares).
// Launch   grid = (tiles of channels, chunks, items), block = 256: a thread takes 4 channels, or 1
//          where they do not come in fours, of some rows; 12 KB of shared memory.
// Traffic  items * rows * channels * sizeof(T) bytes.
// Numerics in float for every T: four rows at a time in two passes, then merged by Chan's formula,
//          over the rows of a thread, then over the threads, in fixed order.
// Launcher org.unetrpp.backend.cuda.MomentKernels#partials
#include "normalization.cuh"

namespace {

/// Merges U more rows.
template <int U, int V>
__device__ __forceinline__ void add_rows(const float (&values)[U][V], float& count,
                                         float (&mean)[V], float (&squares)[V]) {
  const float total = count + U;
  const float weight = U / total;
#pragma unroll
  for (int v = 0; v < V; v++) {
    float sum = 0.0f;
#pragma unroll
    for (int u = 0; u < U; u++) sum += values[u][v];
    const float own = sum * (1.0f / U);
    float deviations = 0.0f;
#pragma unroll
    for (int u = 0; u < U; u++) deviations += (values[u][v] - own) * (values[u][v] - own);
    const float delta = own - mean[v];
    squares[v] += deviations + delta * delta * (count * weight);
    mean[v] += delta * weight;
  }
  count = total;
}

template <typename T, int V>
__device__ __forceinline__ void moments(const T* __restrict__ x, float2* __restrict__ partials,
                                        long long rows, int chunk, int channels, Moments* scratch) {
  const RowWalk<V> walk(rows, chunk, channels);
  const long long step = static_cast<long long>(walk.lanes) * channels;
  const T* from = x + blockIdx.z * rows * channels + walk.start(channels);
  float count = 0.0f, mean[V] = {}, squares[V] = {};
  int row = walk.lane;
#pragma unroll 1
  for (; row + (kRowsAtOnce - 1) * walk.lanes < walk.rows; row += kRowsAtOnce * walk.lanes) {
    float values[kRowsAtOnce][V];
#pragma unroll
    for (int u = 0; u < kRowsAtOnce; u++) {
      load_pack(from, values[u]);
      from += step;
    }
    add_rows(values, count, mean, squares);
  }
#pragma unroll 1
  for (; row < walk.rows; row += walk.lanes) {
    float values[1][V];
    load_pack(from, values[0]);
    from += step;
    add_rows(values, count, mean, squares);
  }

  Moments states[V];
#pragma unroll
  for (int v = 0; v < V; v++) states[v] = {count, mean[v], squares[v]};
  add_lanes(states, walk, scratch);
  if (!walk.works || walk.lane > 0) return;
  float2* to = partials + (static_cast<long long>(blockIdx.z) * gridDim.y + blockIdx.y) * channels;
#pragma unroll
  for (int v = 0; v < V; v++) to[walk.channel + v] = make_float2(states[v].mean, states[v].squares);
}

}  // namespace

#define MOMENTS(suffix, T)                                                                      \
  ENTRY(moments_##suffix, kRowThreads, const T* x, float2* partials, long long rows, int chunk, \
        int channels, int packed) {                                                             \
    __shared__ Moments scratch[kPack * kRowThreads];                                            \
    if (packed) {                                                                               \
      moments<T, kPack>(x, partials, rows, chunk, channels, scratch);                           \
    } else {                                                                                    \
      moments<T, 1>(x, partials, rows, chunk, channels, scratch);                               \
    }                                                                                           \
  }

MOMENTS(f32, float)
MOMENTS(bf16, bfloat16)
