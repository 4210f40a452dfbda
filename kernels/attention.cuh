// Building blocks of the paired attention kernels: rows of tokens in shared memory, their products
// with matrices, sums of outer products over tokens, and dropout.
//
// A warp owns kRows rows of a tile. A product with a matrix reads the rows from shared memory, four
// terms at a time and the same for all lanes, and the matrix from global memory, a column for each
// lane; the warps of a block read the same matrix, so all but the first read it from L1. Blocks are
// (32, warps).
#pragma once

#include "common.cuh"
#include "philox.cuh"

namespace {

constexpr int kRows = 4;
constexpr float kLeastNorm = 1e-12f;

/// A number of columns that is known when the code is compiled, to choose a template by.
template <int kValue>
struct Wide {
  static constexpr int value = kValue;
};

/// Floats between the rows of a tile in shared memory: rows begin at multiples of 16 bytes, and
/// there is room for the last vector.
__device__ __forceinline__ int tile_stride(int columns) { return (columns + 3) / 4 * 4 + 4; }

/// sums[i][j] += sum_k rows[i][k] * matrix[k][first + lane + 32 j], where there is such a column.
/// The rows may be others for each lane.
template <int kWide>
__device__ __forceinline__ void add_products(const float* rows, int stride, int terms,
                                             const float* __restrict__ matrix,
                                             long long matrix_stride, int first, int columns,
                                             float (&sums)[kRows][kWide]) {
  const float* column = matrix + first + threadIdx.x;
  bool inside[kWide];
#pragma unroll
  for (int j = 0; j < kWide; j++) {
    inside[j] = first + static_cast<int>(threadIdx.x) + j * kWarpSize < columns;
  }
  int k = 0;
  if (reinterpret_cast<unsigned long long>(rows) % sizeof(float4) == 0) {
#pragma unroll 1
    for (; k + 4 <= terms; k += 4) {
      float factors[4][kWide];
#pragma unroll
      for (int term = 0; term < 4; term++) {
#pragma unroll
        for (int j = 0; j < kWide; j++) {
          factors[term][j] = inside[j] ? column[j * kWarpSize] : 0.0f;
        }
        column += matrix_stride;
      }
#pragma unroll
      for (int i = 0; i < kRows; i++) {
        const float4 row = *reinterpret_cast<const float4*>(rows + i * stride + k);
#pragma unroll
        for (int j = 0; j < kWide; j++) {
          sums[i][j] += row.x * factors[0][j];
          sums[i][j] += row.y * factors[1][j];
          sums[i][j] += row.z * factors[2][j];
          sums[i][j] += row.w * factors[3][j];
        }
      }
    }
  }
  for (; k < terms; k++) {
#pragma unroll
    for (int j = 0; j < kWide; j++) {
      const float factor = inside[j] ? column[j * kWarpSize] : 0.0f;
#pragma unroll
      for (int i = 0; i < kRows; i++) sums[i][j] += rows[i * stride + k] * factor;
    }
    column += matrix_stride;
  }
}

/// Calls body(Wide, first) for runs of columns that the lanes of a warp cover one or two wide.
template <typename Body>
__device__ __forceinline__ void each_run(int columns, Body body) {
  if (columns <= kWarpSize) {
    body(Wide<1>(), 0);
  } else {
    for (int first = 0; first < columns; first += 2 * kWarpSize) body(Wide<2>(), first);
  }
}

/// Calls sink(row, column, value) for each value of the warp's rows times a matrix.
template <typename Sink>
__device__ __forceinline__ void multiply(const float* rows, int stride, int terms,
                                         const float* __restrict__ matrix, long long matrix_stride,
                                         int columns, Sink sink) {
  each_run(columns, [&](auto wide, int first) {
    constexpr int kWide = decltype(wide)::value;
    float sums[kRows][kWide] = {};
    add_products<kWide>(rows, stride, terms, matrix, matrix_stride, first, columns, sums);
#pragma unroll
    for (int i = 0; i < kRows; i++) {
#pragma unroll
      for (int j = 0; j < kWide; j++) {
        const int column = first + static_cast<int>(threadIdx.x) + j * kWarpSize;
        if (column < columns) sink(i, column, sums[i][j]);
      }
    }
  });
}

/// As multiply, for rows of several heads side by side: column c takes those of head c / d, which
/// begin head_stride * (c / d) further on.
template <typename Sink>
__device__ __forceinline__ void multiply_heads(const float* rows, int stride, int heads,
                                               int head_stride, int head_columns, int terms,
                                               const float* __restrict__ matrix,
                                               long long matrix_stride, Sink sink) {
  if (heads == 1) {
    multiply(rows, stride, terms, matrix, matrix_stride, head_columns, sink);
    return;
  }
  const int columns = heads * head_columns;
  for (int first = 0; first < columns; first += kWarpSize) {
    const int column = first + static_cast<int>(threadIdx.x);
    const int head = min(column, columns - 1) / head_columns;
    float sums[kRows][1] = {};
    add_products<1>(rows + head * head_stride, stride, terms, matrix, matrix_stride, first, columns,
                    sums);
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      if (column < columns) sink(i, column, sums[i][0]);
    }
  }
}

/// What normalizes a token, t = x + positions: mean and 1 / standard deviation. By a whole warp.
template <typename T>
__device__ __forceinline__ float2 token_statistics(const T* x, const float* positions, int channels,
                                                   float epsilon) {
  float sum = 0.0f;
  for (int c = threadIdx.x; c < channels; c += kWarpSize) sum += to_float(x[c]) + positions[c];
  const float mean = warp_sum(sum) / channels;
  float squares = 0.0f;
  for (int c = threadIdx.x; c < channels; c += kWarpSize) {
    const float centered = to_float(x[c]) + positions[c] - mean;
    squares += centered * centered;
  }
  return make_float2(mean, rsqrtf(warp_sum(squares) / channels + epsilon));
}

/// The tokens of one item and their normalization.
template <typename T>
struct Tokens {
  const T* x;
  const float* positions;
  const float* gamma;
  const float* beta;
  int count;
  int channels;
  float epsilon;

  /// The warp's rows of LayerNorm(x + positions), zero behind the last token; what normalizes them.
  __device__ void load(int first, float* rows, int stride, float2 (&statistics)[kRows]) const {
#pragma unroll
    for (int i = 0; i < kRows; i++) {
      const int token = first + i;
      float* row = rows + i * stride;
      statistics[i] = make_float2(0.0f, 0.0f);
      if (token >= count) {
        for (int c = threadIdx.x; c < channels; c += kWarpSize) row[c] = 0.0f;
        continue;
      }
      const long long at = static_cast<long long>(token) * channels;
      statistics[i] = token_statistics(x + at, positions + at, channels, epsilon);
      for (int c = threadIdx.x; c < channels; c += kWarpSize) {
        const float centered = to_float(x[at + c]) + positions[at + c] - statistics[i].x;
        row[c] = centered * statistics[i].y * gamma[c] + beta[c];
      }
    }
  }

  __device__ void load(int first, float* rows, int stride) const {
    float2 statistics[kRows];
    load(first, rows, stride, statistics);
  }
};

/// The warp's rows, as far as there are so many; zero behind.
__device__ __forceinline__ void load_rows(const float* from, long long from_stride, int first,
                                          int count, int columns, float* rows, int stride) {
  for (int i = 0; i < kRows; i++) {
    const int row = first + i;
    const float* source = from + row * from_stride;
    for (int c = threadIdx.x; c < columns; c += kWarpSize) {
      rows[i * stride + c] = row < count ? source[c] : 0.0f;
    }
  }
}

/// Sums over the rows of a tile, by a whole block:
/// to[i][j] = sum_t a[t][i] * value(b[t][i / d][j]), or that is added where the sum is not fresh.
template <int kHigh, typename Value>
__device__ __forceinline__ void add_outer_products_high(const float* a, int a_stride, int rows,
                                                        const float* b, int b_stride, int head_rows,
                                                        int head_stride, int columns, int tokens,
                                                        bool fresh, float* to, Value value) {
  const int quads = (columns + 3) / 4;
  const int tasks = rows / kHigh * quads;
  for (int task = thread_in_block(); task < tasks; task += block_threads()) {
    const int i = task / quads * kHigh;
    const int j = task % quads * 4;
    const float* b_column = b + i / head_rows * head_stride + j;
    float sums[kHigh][4] = {};
#pragma unroll 2
    for (int t = 0; t < tokens; t++) {
      const float4 factors = *reinterpret_cast<const float4*>(b_column + t * b_stride);
      const float x = value(factors.x), y = value(factors.y);
      const float z = value(factors.z), w = value(factors.w);
#pragma unroll
      for (int high = 0; high < kHigh; high++) {
        const float factor = a[t * a_stride + i + high];
        sums[high][0] += factor * x;
        sums[high][1] += factor * y;
        sums[high][2] += factor * z;
        sums[high][3] += factor * w;
      }
    }
#pragma unroll
    for (int high = 0; high < kHigh; high++) {
      float* out = to + static_cast<long long>(i + high) * columns + j;
#pragma unroll
      for (int q = 0; q < 4; q++) {
        if (j + q < columns) out[q] = fresh ? sums[high][q] : out[q] + sums[high][q];
      }
    }
  }
}

template <typename Value>
__device__ __forceinline__ void add_outer_products(const float* a, int a_stride, int rows,
                                                   const float* b, int b_stride, int head_rows,
                                                   int head_stride, int columns, int tokens,
                                                   bool fresh, float* to, Value value) {
  if (rows % 4 == 0 && head_rows % 4 == 0) {
    add_outer_products_high<4>(a, a_stride, rows, b, b_stride, head_rows, head_stride, columns,
                               tokens, fresh, to, value);
  } else {
    add_outer_products_high<1>(a, a_stride, rows, b, b_stride, head_rows, head_stride, columns,
                               tokens, fresh, to, value);
  }
}

/// With one matrix for all rows of the result.
__device__ __forceinline__ void add_outer_products(const float* a, int a_stride, int rows,
                                                   const float* b, int b_stride, int columns,
                                                   int tokens, bool fresh, float* to) {
  add_outer_products(a, a_stride, rows, b, b_stride, rows, 0, columns, tokens, fresh, to,
                     [](float factor) { return factor; });
}

__device__ __forceinline__ bool drops_nothing(const Mask& mask) { return mask.scale == 1.0f; }

/// Whether one value is left out.
__device__ __forceinline__ bool drops(const Mask& mask, long long index) {
  return !drops_nothing(mask) &&
         mask.factor(mask.bits(index / kMaskBlock), static_cast<int>(index % kMaskBlock)) == 0.0f;
}

/// Random bits of count values from index first on, by a warp; the first value's are at the place
/// that is returned. bits has room for count + 16 values and begins at a multiple of 16 bytes.
__device__ __forceinline__ const unsigned short* draw(const Mask& mask, long long first, int count,
                                                      unsigned short* bits) {
  const int skip = static_cast<int>(first % kMaskBlock);
  const int blocks = (skip + count + kMaskBlock - 1) / kMaskBlock;
  for (int i = threadIdx.x; i < blocks; i += kWarpSize) {
    reinterpret_cast<uint4*>(bits)[i] = mask.bits(first / kMaskBlock + i);
  }
  __syncwarp();
  return bits + skip;
}

/// Softmax of the logits of one head for the warp's tokens: probabilities to map[i][p]. What
/// dropout leaves out is zero and the rest scaled; or, with kSigned, what it leaves out has a sign
/// and nothing is scaled.
template <int kWide, bool kSigned>
__device__ __forceinline__ void attend_wide(const float* queries, int stride, int head_channels,
                                            const float* __restrict__ keys, int projected,
                                            const Mask& mask, long long first_index,
                                            unsigned short* bits, float* map, int map_stride) {
  float logits[kRows][kWide] = {};
  add_products<kWide>(queries, stride, head_channels, keys, projected, 0, projected, logits);
  const unsigned short* random = bits;
  if (!drops_nothing(mask)) {
    __syncwarp();  // the bits of the head before are read
    random = draw(mask, first_index, kRows * projected, bits);
  }
#pragma unroll
  for (int i = 0; i < kRows; i++) {
    float largest = -kLargest;
#pragma unroll
    for (int j = 0; j < kWide; j++) {
      if (static_cast<int>(threadIdx.x) + j * kWarpSize < projected) {
        largest = fmaxf(largest, logits[i][j]);
      }
    }
    largest = warp_max(largest);
    float sum = 0.0f;
#pragma unroll
    for (int j = 0; j < kWide; j++) {
      const bool inside = static_cast<int>(threadIdx.x) + j * kWarpSize < projected;
      logits[i][j] = inside ? expf(logits[i][j] - largest) : 0.0f;
      sum += logits[i][j];
    }
    sum = warp_sum(sum);
#pragma unroll
    for (int j = 0; j < kWide; j++) {
      const int p = static_cast<int>(threadIdx.x) + j * kWarpSize;
      if (p >= projected) continue;
      const float probability = logits[i][j] / sum;
      const bool dropped = !drops_nothing(mask) && random[i * projected + p] < mask.threshold;
      map[i * map_stride + p] = kSigned ? (dropped ? -probability : probability)
                                        : (dropped ? 0.0f : probability * mask.scale);
    }
  }
}

template <bool kSigned>
__device__ __forceinline__ void attend(const float* queries, int stride, int head_channels,
                                       const float* __restrict__ keys, int projected,
                                       const Mask& mask, long long first_index,
                                       unsigned short* bits, float* map, int map_stride) {
  if (projected <= kWarpSize) {
    attend_wide<1, kSigned>(queries, stride, head_channels, keys, projected, mask, first_index,
                            bits, map, map_stride);
  } else if (projected <= 2 * kWarpSize) {
    attend_wide<2, kSigned>(queries, stride, head_channels, keys, projected, mask, first_index,
                            bits, map, map_stride);
  } else {
    attend_wide<4, kSigned>(queries, stride, head_channels, keys, projected, mask, first_index,
                            bits, map, map_stride);
  }
}

/// Values of random bits that a warp has room for, in steps of 16 bytes.
__device__ __forceinline__ int random_values(int projected) {
  return (kRows * projected + 16 + 7) / 8 * 8;
}

/// Whether a map's value was left out; see attend.
__device__ __forceinline__ bool is_dropped(float value) { return __float_as_int(value) < 0; }

}  // namespace

#define MASK_PARAMETERS long long seed, long long step, int layer, int threshold, float scale
#define MASK_ARGUMENT                                                             \
  Mask {                                                                          \
    static_cast<unsigned long long>(seed), static_cast<unsigned long long>(step), \
        static_cast<unsigned>(layer), static_cast<unsigned>(threshold), scale     \
  }
