// Products of matrices.
//
//   c[m,n] = sum_k op(a)[m,k] op(b)[k,n]  (+ c[m,n])        op: as it is, or transposed
//
// Few large sums are cut into slices, each by blocks of its own, whose partial products
// matrix_product_sum adds up in order.
//
// Shapes   a, b, c with rows a stride apart, each of float or bfloat16; op(a) (rows, inner), op(b)
//          (inner, columns), c (rows, columns); partials (slices, rows, columns) of float, or none
//          if there is one slice. c overlaps neither a nor b.
// Launch   grid = (tiles of c, slices), block = 256: a block makes 64 x 64 values, a thread 4 x 4
//          of them; the next 16 terms are on their way while the last 16 are multiplied.
//          matrix_product_sum: a thread per value: grid = ceil(rows * columns / 256), block = 256.
// Traffic  (rows * inner * columns / 64) * (sizeof(A) + sizeof(B)) bytes, of which most come from
//          L2, and rows * columns * sizeof(C).
// Numerics products and sums in float for every type; sums run over 256 terms, then over these
//          sums, then over slices. Slices follow from the shape alone, so do all roundings.
// Launcher org.unetrpp.backend.cuda.OwnMatrixProducts
#include "elements.cuh"

namespace {

constexpr int kTile = 64;              // rows and columns of c that a block makes
constexpr int kDepth = 16;             // terms of the sums that it holds at once
constexpr int kThreads = 256;          // 16 x 16
constexpr int kAcross = 16;            // threads that share a row
constexpr int kPitch = kTile + kPack;  // of the terms in shared memory: keeps packs aligned
constexpr int kStepsInRun = 16;        // of kDepth terms, after which a sum starts anew

static_assert(kTile * kDepth == kThreads * kPack, "each thread loads one pack of a tile");
static_assert(kTile == kAcross * kPack, "each thread makes one pack of a row");

/// One factor: its lines run along the rows of op(a), or the columns of op(b).
template <typename T>
struct Factor {
  const T* values;
  long long stride;
  long long lines;
  bool has_terms_together;  // neighbors in memory are terms of one sum, not of neighboring sums

  /// Loads this thread's pack of the terms from k on of the lines from first on.
  __device__ __forceinline__ void load(long long first, long long k, long long end,
                                       float (&pack)[kPack]) const {
    const long long line = first + line_in_tile();
    const long long term = k + term_in_tile();
    const bool is_inside = line < lines && term < end;
    const long long outer = has_terms_together ? line : term;
    const long long inner = has_terms_together ? term : line;
    const long long left = (has_terms_together ? end : lines) - inner;
    load_run(values + outer * stride + inner, is_inside ? left : 0, pack);
  }

  /// Puts what load gave into a tile of kDepth terms of kTile lines.
  __device__ __forceinline__ void put(const float (&pack)[kPack], float* tile) const {
    float* to = tile + term_in_tile() * kPitch + line_in_tile();
    if (has_terms_together) {
#pragma unroll
      for (int v = 0; v < kPack; v++) to[v * kPitch] = pack[v];
    } else {
      store_pack(to, pack);
    }
  }

 private:
  __device__ __forceinline__ int line_in_tile() const {
    const int thread = threadIdx.x;
    return has_terms_together ? thread / (kDepth / kPack) : thread % (kTile / kPack) * kPack;
  }

  __device__ __forceinline__ int term_in_tile() const {
    const int thread = threadIdx.x;
    return has_terms_together ? thread % (kDepth / kPack) * kPack : thread / (kTile / kPack);
  }
};

struct Tiles {
  Pack<float, kPack> a[kDepth * kPitch / kPack];
  Pack<float, kPack> b[kDepth * kPitch / kPack];
};

/// Adds the products of one pair of tiles.
__device__ __forceinline__ void multiply(const Tiles& tiles, int row, int column,
                                         float (&sums)[kPack][kPack]) {
  const float* a = tiles.a[0].values + row;
  const float* b = tiles.b[0].values + column;
#pragma unroll
  for (int k = 0; k < kDepth; k++) {
    float x[kPack];
    float y[kPack];
    load_pack(a + k * kPitch, x);
    load_pack(b + k * kPitch, y);
#pragma unroll
    for (int i = 0; i < kPack; i++) {
#pragma unroll
      for (int j = 0; j < kPack; j++) sums[i][j] += x[i] * y[j];
    }
  }
}

/// Moves run to sums.
__device__ __forceinline__ void flush(float (&run)[kPack][kPack], float (&sums)[kPack][kPack]) {
#pragma unroll
  for (int i = 0; i < kPack; i++) {
#pragma unroll
    for (int j = 0; j < kPack; j++) {
      sums[i][j] += run[i][j];
      run[i][j] = 0.0f;
    }
  }
}

template <typename A, typename B, typename C>
__device__ __forceinline__ void matrix_product(const Factor<A>& a, const Factor<B>& b, C* c,
                                               long long c_stride, float* partials, long long inner,
                                               long long slice, bool accumulate,
                                               Tiles (&tiles)[2]) {
  const int across = static_cast<int>((b.lines + kTile - 1) / kTile);
  const long long first_row = static_cast<long long>(blockIdx.x / across) * kTile;
  const long long first_column = static_cast<long long>(blockIdx.x % across) * kTile;
  const int row = threadIdx.x / kAcross * kPack;
  const int column = threadIdx.x % kAcross * kPack;
  const long long begin = blockIdx.y * slice;
  const long long end = min(begin + slice, inner);

  float sums[kPack][kPack] = {};
  float run[kPack][kPack] = {};
  float next_a[kPack];
  float next_b[kPack];
  a.load(first_row, begin, end, next_a);
  b.load(first_column, begin, end, next_b);
  int step = 0;
  for (long long k = begin; k < end; k += kDepth) {
    Tiles& now = tiles[step % 2];
    a.put(next_a, now.a[0].values);
    b.put(next_b, now.b[0].values);
    __syncthreads();  // and nobody reads the other pair any more
    a.load(first_row, k + kDepth, end, next_a);
    b.load(first_column, k + kDepth, end, next_b);
    multiply(now, row, column, run);
    if (++step % kStepsInRun == 0) flush(run, sums);
  }
  flush(run, sums);

  const long long left = b.lines - first_column - column;
#pragma unroll
  for (int i = 0; i < kPack; i++) {
    const long long at = first_row + row + i;
    if (at >= a.lines) break;
    if (partials != nullptr) {
      const long long start = (blockIdx.y * a.lines + at) * b.lines + first_column + column;
      store_run(partials + start, left, sums[i]);
      continue;
    }
    C* to = c + at * c_stride + first_column + column;
    if (accumulate) {
      float before[kPack];
      load_run(to, left, before);
#pragma unroll
      for (int j = 0; j < kPack; j++) sums[i][j] += before[j];
    }
    store_run(to, left, sums[i]);
  }
}

template <typename C>
__device__ __forceinline__ void matrix_product_sum(const float* __restrict__ partials, C* c,
                                                   long long c_stride, long long rows,
                                                   long long columns, int slices, bool accumulate) {
  constexpr int kAtOnce = 8;
  const long long i = thread_in_grid();
  const long long size = rows * columns;
  if (i >= size) return;
  float sum = 0.0f;
  for (int first = 0; first < slices; first += kAtOnce) {
    float run = 0.0f;
#pragma unroll
    for (int s = 0; s < kAtOnce; s++) {
      if (first + s < slices) run += partials[(first + s) * size + i];
    }
    sum += run;
  }
  const long long row = quotient(i, columns);
  C* to = c + row * c_stride + (i - row * columns);
  *to = from_float<C>(accumulate ? to_float(*to) + sum : sum);
}

}  // namespace

#define MATRIX_PRODUCT(a_suffix, A, b_suffix, B, c_suffix, C)                                      \
  ENTRY(matrix_product_##a_suffix##_##b_suffix##_##c_suffix, kThreads, const A* a, const B* b,     \
        C* c, float* partials, long long a_stride, long long b_stride, long long c_stride,         \
        long long inner, long long slice, int rows, int columns, int transpose_a, int transpose_b, \
        int accumulate) {                                                                          \
    __shared__ Tiles tiles[2];                                                                     \
    matrix_product<A, B, C>({a, a_stride, rows, transpose_a == 0},                                 \
                            {b, b_stride, columns, transpose_b != 0}, c, c_stride, partials,       \
                            inner, slice, accumulate != 0, tiles);                                 \
  }

#define MATRIX_PRODUCTS(c_suffix, C)                                                         \
  MATRIX_PRODUCT(f32, float, f32, float, c_suffix, C)                                        \
  MATRIX_PRODUCT(f32, float, bf16, bfloat16, c_suffix, C)                                    \
  MATRIX_PRODUCT(bf16, bfloat16, f32, float, c_suffix, C)                                    \
  MATRIX_PRODUCT(bf16, bfloat16, bf16, bfloat16, c_suffix, C)                                \
  ENTRY(matrix_product_sum_##c_suffix, 256, const float* partials, C* c, long long c_stride, \
        int rows, int columns, int slices, int accumulate) {                                 \
    matrix_product_sum<C>(partials, c, c_stride, rows, columns, slices, accumulate != 0);    \
  }

MATRIX_PRODUCTS(f32, float)
MATRIX_PRODUCTS(bf16, bfloat16)
