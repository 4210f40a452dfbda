// Columns of matrices: bias, sums, normalization and its gradient.
//
//   add_bias    x[r,c] += bias[c]
//   sum         sums[c] += sum_r x[r,c]
//   normalize   n[c] = max(sqrt(sum_r x[r,c]^2), 1e-12)       x[r,c] /= n[c]
//   backward    dy[r,c] = (dy[r,c] - p[c] y[r,c]) / n[c]
//               p[c] = sum_r dy[r,c] y[r,c], or 0 where n[c] is 1e-12 and so is no norm
//
// A pass over the rows sums over chunks of them, a small kernel adds the chunks up in order, a
// second pass applies:
//   sum         columns_sum, with more than one chunk -> columns_add_partials
//   normalize   columns_product of x with x -> columns_norms -> columns_scale
//   backward    columns_product -> columns_factors -> columns_backward
//
// Shapes   x, y, dy (rows, columns) of T with rows a stride apart; bias, sums (columns) of float;
//          norms (columns) of float or T, or none; partials (chunks, columns); factors (columns) of
//          1 / n, in the backward pass of (p, 1 / n).
// Launch   passes: grid = (tiles of columns, chunks), block = 256, as in rows.cuh.
//          others: one warp per column: grid = ceil(columns / 8), block = (32, 8).
// Traffic  in rows * columns * sizeof(T) bytes: add_bias 2, sum 1, normalize 3, backward 5.
// Numerics in float for every T; sums run over the rows of a thread, then as trees, in fixed order.
//          Squares overflow for values above 1e19.
// Launcher org.unetrpp.backend.cuda.ColumnKernels
#include "rows.cuh"

namespace {

constexpr float kLeastNorm = 1e-12f;

template <typename T, int V>
__device__ __forceinline__ void add_bias(T* x, const float* bias, long long stride, long long rows,
                                         int chunk, int columns) {
  const RowWalk<V> walk(rows, chunk, columns);
  if (!walk.works) return;
  float shift[V];
  load_parameters(bias + walk.channel, 0.0f, shift);
  const long long step = walk.lanes * stride;
  T* at = x + walk.start(stride);
#pragma unroll 1
  for (int row = walk.lane; row < walk.rows; row += walk.lanes) {
    float values[V];
    load_pack(at, values);
#pragma unroll
    for (int v = 0; v < V; v++) values[v] += shift[v];
    store_pack(at, values);
    at += step;
  }
}

/// Sums of x, or of x times y where there is one, over a chunk.
template <typename T, int V, bool kProducts>
__device__ __forceinline__ void sum_chunk(const T* x, long long x_stride, const T* y,
                                          long long y_stride, float* partials, float* sums,
                                          long long rows, int chunk, int columns, Sum* scratch) {
  const RowWalk<V> walk(rows, chunk, columns);
  const long long x_step = walk.lanes * x_stride;
  const long long y_step = walk.lanes * y_stride;
  const T* x_at = x + walk.start(x_stride);
  const T* y_at = kProducts ? y + walk.start(y_stride) : nullptr;
  Sum states[V] = {};
#pragma unroll 1
  for (int row = walk.lane; row < walk.rows; row += kRowsAtOnce * walk.lanes) {
    float values[kRowsAtOnce][V];
#pragma unroll
    for (int u = 0; u < kRowsAtOnce; u++) {
#pragma unroll
      for (int v = 0; v < V; v++) values[u][v] = 0.0f;
      if (row + u * walk.lanes >= walk.rows) continue;
      load_pack(x_at + u * x_step, values[u]);
      if (kProducts) {
        float others[V];
        load_pack(y_at + u * y_step, others);
#pragma unroll
        for (int v = 0; v < V; v++) values[u][v] *= others[v];
      }
    }
#pragma unroll
    for (int v = 0; v < V; v++) {
      states[v].value += (values[0][v] + values[1][v]) + (values[2][v] + values[3][v]);
    }
    x_at += kRowsAtOnce * x_step;
    if (kProducts) y_at += kRowsAtOnce * y_step;
  }
  static_assert(kRowsAtOnce == 4, "the sum above is of four rows");

  add_lanes(states, walk, scratch);
  if (!walk.works || walk.lane > 0) return;
#pragma unroll
  for (int v = 0; v < V; v++) {
    if (partials == nullptr) {
      sums[walk.channel + v] += states[v].value;
    } else {
      partials[static_cast<long long>(blockIdx.y) * columns + walk.channel + v] = states[v].value;
    }
  }
}

template <typename T, int V>
__device__ __forceinline__ void scale_columns(T* x, const float* factors, long long stride,
                                              long long rows, int chunk, int columns) {
  const RowWalk<V> walk(rows, chunk, columns);
  if (!walk.works) return;
  float scale[V];
  load_parameters(factors + walk.channel, 1.0f, scale);
  const long long step = walk.lanes * stride;
  T* at = x + walk.start(stride);
#pragma unroll 1
  for (int row = walk.lane; row < walk.rows; row += walk.lanes) {
    float values[V];
    load_pack(at, values);
#pragma unroll
    for (int v = 0; v < V; v++) values[v] *= scale[v];
    store_pack(at, values);
    at += step;
  }
}

template <typename T, int V>
__device__ __forceinline__ void normalize_backward(T* dy, long long dy_stride, const T* y,
                                                   long long y_stride, const float2* factors,
                                                   long long rows, int chunk, int columns) {
  const RowWalk<V> walk(rows, chunk, columns);
  if (!walk.works) return;
  float2 own[V];
#pragma unroll
  for (int v = 0; v < V; v++) own[v] = factors[walk.channel + v];
  const long long dy_step = walk.lanes * dy_stride;
  const long long y_step = walk.lanes * y_stride;
  T* dy_at = dy + walk.start(dy_stride);
  const T* y_at = y + walk.start(y_stride);
#pragma unroll 1
  for (int row = walk.lane; row < walk.rows; row += walk.lanes) {
    float gradients[V], outputs[V];
    load_pack(dy_at, gradients);
    load_pack(y_at, outputs);
#pragma unroll
    for (int v = 0; v < V; v++) {
      gradients[v] = (gradients[v] - own[v].x * outputs[v]) * own[v].y;
    }
    store_pack(dy_at, gradients);
    dy_at += dy_step;
    y_at += y_step;
  }
}

/// The column of a warp.
__device__ __forceinline__ long long column_of_warp() {
  return static_cast<long long>(blockIdx.x) * blockDim.y + threadIdx.y;
}

template <typename T>
__device__ __forceinline__ void columns_norms(const float* partials, T* norms, float* factors,
                                              int chunks, int columns) {
  const long long column = column_of_warp();
  if (column >= columns) return;  // whole warps leave together
  const float squares = warp_column_sum(partials, chunks, columns, column);
  if (threadIdx.x > 0) return;
  const float norm = fmaxf(sqrtf(squares), kLeastNorm);
  factors[column] = 1.0f / norm;
  if (norms != nullptr) norms[column] = from_float<T>(norm);
}

template <typename T>
__device__ __forceinline__ void columns_factors(const float* partials, const T* norms,
                                                float2* factors, int chunks, int columns) {
  const long long column = column_of_warp();
  if (column >= columns) return;  // whole warps leave together
  const float product = warp_column_sum(partials, chunks, columns, column);
  if (threadIdx.x > 0) return;
  const float norm = to_float(norms[column]);
  const bool is_norm = norm > to_float(from_float<T>(kLeastNorm));  // as norms has it
  factors[column] = make_float2(is_norm ? product : 0.0f, 1.0f / norm);
}

}  // namespace

#define COLUMNS(suffix, T)                                                                         \
  ENTRY(columns_add_bias_##suffix, kRowThreads, T* x, const float* bias, long long stride,         \
        long long rows, int chunk, int columns, int packed) {                                      \
    if (packed) {                                                                                  \
      add_bias<T, kPack>(x, bias, stride, rows, chunk, columns);                                   \
    } else {                                                                                       \
      add_bias<T, 1>(x, bias, stride, rows, chunk, columns);                                       \
    }                                                                                              \
  }                                                                                                \
  ENTRY(columns_sum_##suffix, kRowThreads, const T* x, float* partials, float* sums,               \
        long long stride, long long rows, int chunk, int columns, int packed) {                    \
    __shared__ Sum scratch[kPack * kRowThreads];                                                   \
    if (packed) {                                                                                  \
      sum_chunk<T, kPack, false>(x, stride, nullptr, 0, partials, sums, rows, chunk, columns,      \
                                 scratch);                                                         \
    } else {                                                                                       \
      sum_chunk<T, 1, false>(x, stride, nullptr, 0, partials, sums, rows, chunk, columns,          \
                             scratch);                                                             \
    }                                                                                              \
  }                                                                                                \
  ENTRY(columns_product_##suffix, kRowThreads, const T* x, const T* y, float* partials,            \
        long long x_stride, long long y_stride, long long rows, int chunk, int columns,            \
        int packed) {                                                                              \
    __shared__ Sum scratch[kPack * kRowThreads];                                                   \
    if (packed) {                                                                                  \
      sum_chunk<T, kPack, true>(x, x_stride, y, y_stride, partials, nullptr, rows, chunk, columns, \
                                scratch);                                                          \
    } else {                                                                                       \
      sum_chunk<T, 1, true>(x, x_stride, y, y_stride, partials, nullptr, rows, chunk, columns,     \
                            scratch);                                                              \
    }                                                                                              \
  }                                                                                                \
  ENTRY(columns_scale_##suffix, kRowThreads, T* x, const float* factors, long long stride,         \
        long long rows, int chunk, int columns, int packed) {                                      \
    if (packed) {                                                                                  \
      scale_columns<T, kPack>(x, factors, stride, rows, chunk, columns);                           \
    } else {                                                                                       \
      scale_columns<T, 1>(x, factors, stride, rows, chunk, columns);                               \
    }                                                                                              \
  }                                                                                                \
  ENTRY(columns_backward_##suffix, kRowThreads, T* dy, const T* y, const float2* factors,          \
        long long dy_stride, long long y_stride, long long rows, int chunk, int columns,           \
        int packed) {                                                                              \
    if (packed) {                                                                                  \
      normalize_backward<T, kPack>(dy, dy_stride, y, y_stride, factors, rows, chunk, columns);     \
    } else {                                                                                       \
      normalize_backward<T, 1>(dy, dy_stride, y, y_stride, factors, rows, chunk, columns);         \
    }                                                                                              \
  }                                                                                                \
  ENTRY(columns_norms_##suffix, 256, const float* partials, T* norms, float* factors, int chunks,  \
        int columns) {                                                                             \
    columns_norms<T>(partials, norms, factors, chunks, columns);                                   \
  }                                                                                                \
  ENTRY(columns_factors_##suffix, 256, const float* partials, const T* norms, float2* factors,     \
        int chunks, int columns) {                                                                 \
    columns_factors<T>(partials, norms, factors, chunks, columns);                                 \
  }

COLUMNS(f32, float)
COLUMNS(bf16, bfloat16)

ENTRY(columns_add_partials, 256, const float* partials, float* sums, int chunks, int columns) {
  const long long column = column_of_warp();
  if (column >= columns) return;  // whole warps leave together
  const float sum = warp_column_sum(partials, chunks, columns, column);
  if (threadIdx.x == 0) sums[column] += sum;
}
