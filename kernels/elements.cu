// Operations on each element, and the order of axes.
//
//   leaky_relu_forward    y = x where x > 0, else slope x
//   leaky_relu_backward   dx = dy where y > 0, else slope dy
//   add                   y[i] = a[i] + b[i mod period]
//   epilogue              y[r,c] = leaky_relu(y[r,c] + bias[c] + addend[r,c]), without what is null
//   add_scaled_forward    y[r,c] = a[r,c] + gamma[c] b[r,c]
//   add_scaled_backward   db[r,c] = gamma[c] dy[r,c]        dgamma[c] += sum_r dy[r,c] b[r,c]
//   scale_runs_forward    x[i] *= scales[i div run]
//   scale_runs_backward   dscales[s] += sum over run s of dy x        dy[i] *= scales[i div run]
//   copy                  y = x, rounded to the type of y
//   transpose             y[n,c,r] = x[n,r,c]
//
// The two sums are of chunks; where there are several, columns.cu's columns_add_partials adds them
// up in order.
//
// Shapes   a, addend, x, y, dx, dy, db (count) of T, or (rows, channels), or (items, rows, columns); bias,
//          gamma, dgamma (channels) and dscales (runs) of float; b of add (period) and scales (runs) of a
//          type of their own; partials (chunks, channels) or (chunks, runs).
//          Outputs may be inputs of the same shape, except in copy and transpose.
// Launch   by element: four neighbors per thread, grid = ceil(count / 1024), block = 256.
//          add_scaled_backward: grid = (tiles of channels, chunks), block = 256, as in rows.cuh.
//          scale_runs_backward: grid = runs * chunks, block = 256.
//          transpose: grid = (tiles, items), block = 256; a tile has tile_rows * tile_columns
//          values, 1024 at most, and is as wide as the matrix where that is narrower than a warp.
// Traffic  every value is read once and written once; the passes move, in count * sizeof(T) bytes:
//          leaky_relu 2 and 3, add 3 or less, epilogue 2 or 3, add_scaled 3, scale_runs 2 and 3, copy and transpose
//          2.
// Numerics in float for every T; sums run over the values of a thread, then as trees, in fixed
//          order.
// Launcher org.unetrpp.backend.cuda.ElementKernels
#include "elements.cuh"

namespace {

constexpr int kTileValues = 1024;

/// Place of the first value of a thread that takes kPack of them.
__device__ __forceinline__ long long first_of_thread() { return thread_in_grid() * kPack; }

template <typename T>
__device__ __forceinline__ void leaky_relu_forward(const T* x, T* y, long long count, float slope) {
  const long long i = first_of_thread();
  float values[kPack];
  load_run(x + i, count - i, values);
#pragma unroll
  for (int v = 0; v < kPack; v++) values[v] = values[v] > 0.0f ? values[v] : slope * values[v];
  store_run(y + i, count - i, values);
}

template <typename T>
__device__ __forceinline__ void leaky_relu_backward(const T* dy, const T* y, T* dx, long long count,
                                                    float slope) {
  const long long i = first_of_thread();
  float outputs[kPack];
  float gradients[kPack];
  load_run(y + i, count - i, outputs);
  load_run(dy + i, count - i, gradients);
#pragma unroll
  for (int v = 0; v < kPack; v++) gradients[v] *= outputs[v] > 0.0f ? 1.0f : slope;
  store_run(dx + i, count - i, gradients);
}

template <typename A, typename B>
__device__ __forceinline__ void add(const A* a, const B* b, A* y, long long count,
                                    long long period) {
  const long long i = first_of_thread();
  if (i >= count) return;
  float sums[kPack];
  float terms[kPack];
  load_run(a + i, count - i, sums);
  load_repeating(b, i, count - i, period, terms);
#pragma unroll
  for (int v = 0; v < kPack; v++) sums[v] += terms[v];
  store_run(y + i, count - i, sums);
}

template <typename T>
__device__ __forceinline__ void epilogue(const float* bias, const T* addend, T* y, long long count,
                                         int channels, float slope) {
  const long long i = first_of_thread();
  if (i >= count) return;
  float sums[kPack];
  float biases[kPack] = {};
  float addends[kPack] = {};
  load_run(y + i, count - i, sums);
  if (bias != nullptr) load_repeating(bias, i, count - i, channels, biases);
  if (addend != nullptr) load_run(addend + i, count - i, addends);
#pragma unroll
  for (int v = 0; v < kPack; v++) {
    const float sum = sums[v] + biases[v] + addends[v];
    sums[v] = sum > 0.0f ? sum : slope * sum;
  }
  store_run(y + i, count - i, sums);
}

template <typename T>
__device__ __forceinline__ void add_scaled_forward(const T* a, const float* gamma, const T* b, T* y,
                                                   long long count, int channels) {
  const long long i = first_of_thread();
  if (i >= count) return;
  float sums[kPack];
  float terms[kPack];
  float scales[kPack];
  load_run(a + i, count - i, sums);
  load_run(b + i, count - i, terms);
  load_repeating(gamma, i, count - i, channels, scales);
#pragma unroll
  for (int v = 0; v < kPack; v++) sums[v] += scales[v] * terms[v];
  store_run(y + i, count - i, sums);
}

template <typename T, int V>
__device__ __forceinline__ void add_scaled_backward(const T* dy, const float* gamma, const T* b,
                                                    T* db, float* dgamma, float* partials,
                                                    long long rows, int chunk, int channels,
                                                    Sum* scratch) {
  const RowWalk<V> walk(rows, chunk, channels);
  const long long step = static_cast<long long>(walk.lanes) * channels;
  const T* dy_at = dy + walk.start(channels);
  const T* b_at = b + walk.start(channels);
  T* db_at = db + walk.start(channels);
  float scales[V];
  load_parameters(gamma + walk.channel, 0.0f, scales);
  Sum states[V] = {};
#pragma unroll 1
  for (int row = walk.lane; row < walk.rows; row += kPairsAtOnce * walk.lanes) {
    float gradients[kPairsAtOnce][V];
    float products[kPairsAtOnce][V];
#pragma unroll
    for (int u = 0; u < kPairsAtOnce; u++) {
#pragma unroll
      for (int v = 0; v < V; v++) products[u][v] = 0.0f;
      if (row + u * walk.lanes >= walk.rows) continue;
      load_pack(dy_at + u * step, gradients[u]);
      load_pack(b_at + u * step, products[u]);
#pragma unroll
      for (int v = 0; v < V; v++) {
        products[u][v] *= gradients[u][v];
        gradients[u][v] *= scales[v];
      }
    }
#pragma unroll
    for (int u = 0; u < kPairsAtOnce; u++) {
      if (row + u * walk.lanes < walk.rows) store_pack(db_at + u * step, gradients[u]);
    }
#pragma unroll
    for (int v = 0; v < V; v++) states[v].value += products[0][v] + products[1][v];
    dy_at += kPairsAtOnce * step;
    b_at += kPairsAtOnce * step;
    db_at += kPairsAtOnce * step;
  }
  static_assert(kPairsAtOnce == 2, "the sum above is of two rows");

  add_lanes(states, walk, scratch);
  if (!walk.works || walk.lane > 0) return;
#pragma unroll
  for (int v = 0; v < V; v++) {
    if (partials == nullptr) {
      dgamma[walk.channel + v] += states[v].value;
    } else {
      partials[static_cast<long long>(blockIdx.y) * channels + walk.channel + v] = states[v].value;
    }
  }
}

template <typename T, typename S>
__device__ __forceinline__ void scale_runs_forward(T* x, const S* scales, long long count,
                                                   long long run) {
  const long long i = first_of_thread();
  if (i >= count) return;
  float values[kPack];
  load_run(x + i, count - i, values);
  long long at = quotient(i, run);
  long long end = (at + 1) * run;
  float scale = to_float(scales[at]);
#pragma unroll
  for (int v = 0; v < kPack; v++) {
    if (i + v == end && end < count) {
      end += run;
      scale = to_float(scales[++at]);
    }
    values[v] *= scale;
  }
  store_run(x + i, count - i, values);
}

template <typename T, typename S>
__device__ __forceinline__ void scale_runs_backward(T* dy, const T* x, const S* scales,
                                                    float* dscales, float* partials, long long run,
                                                    int runs, int chunks, int chunk,
                                                    float* scratch) {
  const int which = blockIdx.x / chunks;
  const int part = blockIdx.x % chunks;
  const long long first = static_cast<long long>(part) * chunk;
  const int count = static_cast<int>(min(run - first, static_cast<long long>(chunk)));
  T* dy_part = dy + which * run + first;
  const T* x_part = x + which * run + first;
  const float scale = to_float(scales[which]);
  float sum = 0.0f;
  for (int i = threadIdx.x * kPack; i < count; i += blockDim.x * kPack) {
    float gradients[kPack];
    float values[kPack];
    load_run(dy_part + i, count - i, gradients);
    load_run(x_part + i, count - i, values);
    sum += (gradients[0] * values[0] + gradients[1] * values[1]) +
           (gradients[2] * values[2] + gradients[3] * values[3]);
#pragma unroll
    for (int v = 0; v < kPack; v++) gradients[v] *= scale;
    store_run(dy_part + i, count - i, gradients);
  }
  static_assert(kPack == 4, "the sum above is of four values");

  const float total = block_sum(sum, scratch);
  if (threadIdx.x > 0) return;
  if (partials == nullptr) {
    dscales[which] += total;
  } else {
    partials[static_cast<long long>(part) * runs + which] = total;
  }
}

template <typename X, typename Y>
__device__ __forceinline__ void copy(const X* __restrict__ x, Y* __restrict__ y, long long count) {
  const long long i = first_of_thread();
  float values[kPack];
  load_run(x + i, count - i, values);
  store_run(y + i, count - i, values);
}

/// Walks the values of a (rows, columns) tile, those of a row by neighboring threads.
struct TileWalk {
  int row, column, columns, row_step, column_step;

  __device__ __forceinline__ explicit TileWalk(int tile_columns) {
    const int thread = threadIdx.x;
    const int threads = blockDim.x;
    columns = tile_columns;
    row = thread / columns;
    column = thread % columns;
    row_step = threads / columns;
    column_step = threads % columns;
  }

  __device__ __forceinline__ void advance() {
    row += row_step;
    column += column_step;
    if (column >= columns) {
      column -= columns;
      row++;
    }
  }
};

template <typename T>
__device__ __forceinline__ void transpose(const T* __restrict__ x, T* __restrict__ y, int rows,
                                          int columns, int tile_rows, int tile_columns, T* tile) {
  const int across = (columns + tile_columns - 1) / tile_columns;
  const int first_row = blockIdx.x / across * tile_rows;
  const int first_column = blockIdx.x % across * tile_columns;
  const int height = min(tile_rows, rows - first_row);
  const int width = min(tile_columns, columns - first_column);
  const int pitch = width | 1;  // odd, so that neither direction meets the same banks
  const long long item = static_cast<long long>(blockIdx.y) * rows * columns;
  const T* from = x + item + static_cast<long long>(first_row) * columns + first_column;
  T* to = y + item + static_cast<long long>(first_column) * rows + first_row;

  for (TileWalk in(width); in.row < height; in.advance()) {
    tile[in.row * pitch + in.column] = from[static_cast<long long>(in.row) * columns + in.column];
  }
  __syncthreads();
  for (TileWalk out(height); out.row < width; out.advance()) {
    to[static_cast<long long>(out.row) * rows + out.column] = tile[out.column * pitch + out.row];
  }
}

}  // namespace

#define ELEMENTS(suffix, T)                                                                     \
  ENTRY(leaky_relu_forward_##suffix, 256, const T* x, T* y, long long count, float slope) {     \
    leaky_relu_forward<T>(x, y, count, slope);                                                  \
  }                                                                                             \
  ENTRY(leaky_relu_backward_##suffix, 256, const T* dy, const T* y, T* dx, long long count,     \
        float slope) {                                                                          \
    leaky_relu_backward<T>(dy, y, dx, count, slope);                                            \
  }                                                                                             \
  ENTRY(epilogue_##suffix, 256, const float* bias, const T* addend, T* y, long long count,      \
        int channels, float slope) {                                                            \
    epilogue<T>(bias, addend, y, count, channels, slope);                                       \
  }                                                                                             \
  ENTRY(add_scaled_forward_##suffix, 256, const T* a, const float* gamma, const T* b, T* y,     \
        long long count, int channels) {                                                        \
    add_scaled_forward<T>(a, gamma, b, y, count, channels);                                     \
  }                                                                                             \
  ENTRY(add_scaled_backward_##suffix, kRowThreads, const T* dy, const float* gamma, const T* b, \
        T* db, float* dgamma, float* partials, long long rows, int chunk, int channels,         \
        int packed) {                                                                           \
    __shared__ Sum scratch[kPack * kRowThreads];                                                \
    if (packed) {                                                                               \
      add_scaled_backward<T, kPack>(dy, gamma, b, db, dgamma, partials, rows, chunk, channels,  \
                                    scratch);                                                   \
    } else {                                                                                    \
      add_scaled_backward<T, 1>(dy, gamma, b, db, dgamma, partials, rows, chunk, channels,      \
                                scratch);                                                       \
    }                                                                                           \
  }                                                                                             \
  ENTRY(transpose_##suffix, 256, const T* x, T* y, int rows, int columns, int tile_rows,        \
        int tile_columns) {                                                                     \
    __shared__ T tile[kTileValues * 3 / 2]; /* a pitch of 3 for 2 columns is the worst */       \
    transpose<T>(x, y, rows, columns, tile_rows, tile_columns, tile);                           \
  }

#define PAIRS_OF_ELEMENTS(suffix, T, other_suffix, Other)                                          \
  ENTRY(add_##suffix##_##other_suffix, 256, const T* a, const Other* b, T* y, long long count,     \
        long long period) {                                                                        \
    add<T, Other>(a, b, y, count, period);                                                         \
  }                                                                                                \
  ENTRY(scale_runs_forward_##suffix##_##other_suffix, 256, T* x, const Other* scales,              \
        long long count, long long run) {                                                          \
    scale_runs_forward<T, Other>(x, scales, count, run);                                           \
  }                                                                                                \
  ENTRY(scale_runs_backward_##suffix##_##other_suffix, 256, T* dy, const T* x,                     \
        const Other* scales, float* dscales, float* partials, long long run, int runs, int chunks, \
        int chunk) {                                                                               \
    __shared__ float scratch[kWarpSize + 1];                                                       \
    scale_runs_backward<T, Other>(dy, x, scales, dscales, partials, run, runs, chunks, chunk,      \
                                  scratch);                                                        \
  }

ELEMENTS(f32, float)
ELEMENTS(bf16, bfloat16)

PAIRS_OF_ELEMENTS(f32, float, f32, float)
PAIRS_OF_ELEMENTS(f32, float, bf16, bfloat16)
PAIRS_OF_ELEMENTS(bf16, bfloat16, f32, float)
PAIRS_OF_ELEMENTS(bf16, bfloat16, bf16, bfloat16)

ENTRY(copy_f32_bf16, 256, const float* x, bfloat16* y, long long count) { copy(x, y, count); }
ENTRY(copy_bf16_f32, 256, const bfloat16* x, float* y, long long count) { copy(x, y, count); }
