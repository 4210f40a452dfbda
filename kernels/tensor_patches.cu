// Convolution of volumes whose kernel is its stride on tensor cores, in bfloat16, and the
// transposed one, which is also its gradient with respect to what it reads.
//
//   embed     y[b, v, n] = f(sum_{t, c} x[b, v K + t, c] weight[n, c, t] + bias[n]
//                            + addend[b, v, n])
//             f(s) = s where s > 0, else slope s
//   upsample  y[b, v K + t, n] = sum_c x[b, v, c] weight[c, n, t] + skip[b, v K + t, n]
//
// v and t have three components each, t those of a kernel of K = kD x kH x kW.
//
// Shapes   x (B, D, H, W, C), y (B, D / kD, H / kH, W / kW, N) or (B, D kD, H kH, W kW, N), addend
//          and skip as y, all of bfloat16 and aligned to 16 bytes; bias of float. N is a multiple
//          of 8 and kW C of 4 (embed), or C of 8 and kW N of 4 (upsample). skip may be y. Kernels
//          read weights packed as bfloat16 in the order in which lanes hold them (mma.cuh), a
//          matrix of K C rows and N columns or of C rows and K N columns; see pack below.
// Launch   Both are a product whose left side has a row for each voxel of the smaller volume. In
//          embed it is made of kD kH runs of kW C values that lie side by side in x; in upsample
//          each row of the result is kD kH runs of kW N values that lie side by side in y. A block
//          has 64 (large) or 32 (small) rows x 32 columns and walks over the terms, 64 at a time,
//          which lie in shared memory; the next ones are copied meanwhile. A warp has half of the
//          rows x 16 columns.
//          embed     grid = (B x tiles of an item's voxels, N / 32, splits), block = 128. Where
//                    there are fewer tiles than fill the device, blocks share a tile and divide its
//                    terms; the last one to come adds up what each has left, in order. Moments as
//                    in statistics.cuh.
//          upsample  grid = (tiles of all voxels, K N / 32), block = 128.
//          pack      a thread for each packed value.
// Traffic  embed reads x once for every 32 channels of y, from L2 but for the first, weights once
//          for each tile, and writes y once; splits write and read 4 bytes a value each. upsample
//          reads x once for every 32 columns, weights once for each tile, skip once and writes y
//          once.
// Numerics x as it is, weights rounded to bfloat16, sums in float in the registers of the tensor
//          cores, terms in order within a split; y rounded once. Rounding weights and y makes a
//          relative error of 1.5e-3 each.
// Launcher org.unetrpp.backend.cuda.TensorPatches, PackedFragments
#include "convolution.cuh"
#include "mma.cuh"
#include "statistics.cuh"

namespace {

constexpr int kFragment = 16;  // rows and columns of a product, and of its neighbor
constexpr int kThreads = kStatisticsThreads;
constexpr int kColumns = 32;
constexpr int kTerms = 64;  // of a stage
constexpr int kChunks = kTerms / kFragment;
constexpr int kStages = 3;                  // that are read or being copied
constexpr int kLeftPitch = kTerms / 8 + 1;  // odd, so that rows meet all banks
constexpr int kRightQuads = kColumns / kFragment * kChunks * kWarpSize;
constexpr int kStagedPitch = kColumns + 4;

/// The shared memory of a block that has kRows rows.
template <int kRows>
struct Shared {
  static constexpr int kLeftQuads = kRows * kLeftPitch;
  static constexpr int kStageQuads = kLeftQuads + kRightQuads;
  static_assert(kStages * kStageQuads * 4 >= kRows * kStagedPitch, "room for the sums");

  uint4 stages[kStages * kStageQuads];
  long long starts[kRows];  // where the first run of a row begins, or negative without a row
};

/// How the terms of a row lie in x: in runs of neighboring values.
struct Runs {
  int length;       // of a run, a multiple of 4
  int count;        // of runs of neighboring lines
  long long line;   // values between lines
  long long slice;  // values between slices, each of which has count lines
  int terms;        // of all runs

  __device__ __forceinline__ long long offset_of(int term) const {
    const int run = term / length;
    return run / count * slice + run % count * line + term % length;
  }
};

/// Multiplies the rows of a block with its columns of the packed weights, over stages of terms.
/// What a thread gets are kRows / 16 neighboring rows of four neighboring columns.
template <int kRows>
__device__ __forceinline__ void multiply(const bfloat16* __restrict__ x, const Runs& runs,
                                         const uint4* __restrict__ weight, int columns,
                                         int first_stage, int stages, Shared<kRows>& shared,
                                         float (&sums)[kRows / 16][4]) {
  constexpr int kProducts = kRows / 32;
  const int thread = threadIdx.x;
  const int lane = thread % kWarpSize;
  const int warp = thread / kWarpSize;
  const int pair_of_warp = warp % 2;
  const int row_of_warp = warp / 2 * (kRows / 2);
  const int chunks = (runs.terms + kFragment - 1) / kFragment;
  const int pairs = (columns + kFragment - 1) / kFragment;
  const bool in_eights = runs.length % 8 == 0;

  const auto copy = [&](int stage) {
    if (stage < stages) {
      uint4* const left = shared.stages + stage % kStages * Shared<kRows>::kStageQuads;
      const int term = (first_stage + stage) * kTerms + thread % 8 * 8;
      const long long offset = runs.offset_of(term);
      const bool has_term = term < runs.terms;
      if (in_eights) {
        for (int row = thread / 8; row < kRows; row += kThreads / 8) {
          const long long start = shared.starts[row];
          const bool is_there = has_term && start >= 0;
          copy_16_bytes(left + row * kLeftPitch + thread % 8, is_there ? x + start + offset : x,
                        is_there);
        }
      } else {
        const long long second = runs.offset_of(term + 4);
        const bool has_second = term + 4 < runs.terms;
        for (int row = thread / 8; row < kRows; row += kThreads / 8) {
          const long long start = shared.starts[row];
          uint2 halves[2] = {};
          if (has_term && start >= 0) {
            halves[0] = *reinterpret_cast<const uint2*>(x + start + offset);
          }
          if (has_second && start >= 0) {
            halves[1] = *reinterpret_cast<const uint2*>(x + start + second);
          }
          left[row * kLeftPitch + thread % 8] =
              make_uint4(halves[0].x, halves[0].y, halves[1].x, halves[1].y);
        }
      }
      uint4* const right = left + Shared<kRows>::kLeftQuads;
      for (int i = thread; i < kRightQuads; i += kThreads) {
        const int pair = blockIdx.y * (kColumns / kFragment) + i / kWarpSize / kChunks;
        const int chunk = (first_stage + stage) * kChunks + i / kWarpSize % kChunks;
        const bool is_there = pair < pairs && chunk < chunks;
        const long long fragment = static_cast<long long>(pair) * chunks + chunk;
        copy_16_bytes(right + i, is_there ? weight + fragment * kWarpSize + lane : weight,
                      is_there);
      }
    }
    end_copy_group();
  };

  float products[kProducts][2][4] = {};
  for (int stage = 0; stage < kStages - 1; stage++) copy(stage);
  for (int stage = 0; stage < stages; stage++) {
    wait_for_copies<kStages - 2>();
    __syncthreads();  // also, everyone is done with what the next copies overwrite
    copy(stage + kStages - 1);
    const uint4* const left = shared.stages + stage % kStages * Shared<kRows>::kStageQuads;
    const uint4* const right =
        left + Shared<kRows>::kLeftQuads + pair_of_warp * kChunks * kWarpSize;
    const int count = min(kChunks, chunks - (first_stage + stage) * kChunks);
#pragma unroll
    for (int chunk = 0; chunk < kChunks; chunk++) {
      if (chunk >= count) break;
      const uint4 w = right[chunk * kWarpSize + lane];
#pragma unroll
      for (int i = 0; i < kProducts; i++) {
        unsigned rows[4];
        const int row = row_of_warp + i * 16 + lane % 16;
        load_matrices(rows, left + row * kLeftPitch + chunk * 2 + lane / 16);
        multiply_add(products[i][0], rows, w.x, w.y);
        multiply_add(products[i][1], rows, w.z, w.w);
      }
    }
  }
  wait_for_copies<0>();
  __syncthreads();

  float* const staged = reinterpret_cast<float*>(shared.stages);
#pragma unroll
  for (int i = 0; i < kProducts * 2; i++) {
    const int row = row_of_warp + i * 8 + lane / 4;
    const float(&of)[2][4] = products[i / 2];
    const int upper = i % 2 * 2;
    const float four[4] = {of[0][upper], of[0][upper + 1], of[1][upper], of[1][upper + 1]};
    store_four(staged + row * kStagedPitch + pair_of_warp * kFragment + lane % 4 * 4, four);
  }
  __syncthreads();
#pragma unroll
  for (int i = 0; i < kRows / 16; i++) {
    const int row = thread / 8 * (kRows / 16) + i;
    const float4 four = load_four(staged + row * kStagedPitch + thread % 8 * 4);
    sums[i][0] = four.x;
    sums[i][1] = four.y;
    sums[i][2] = four.z;
    sums[i][3] = four.w;
  }
}

template <int kRows>
__device__ void embed(const bfloat16* __restrict__ x, const uint4* __restrict__ weight,
                      const Epilogue<bfloat16>& epilogue, const Statistics& statistics, bfloat16* y,
                      float* partials, unsigned* tickets, int tiles, Extents out, Extents kernel,
                      int in_channels, int out_channels, int stages_per_split) {
  constexpr int kRun = kRows / 16;
  constexpr int kValues = kRows * kColumns;
  __shared__ Shared<kRows> shared;
  const int thread = threadIdx.x;
  const int item = blockIdx.x / tiles;
  const int first_row = (blockIdx.x - item * tiles) * kRows;
  const int voxels = out.d * out.h * out.w;

  Runs runs;
  runs.length = kernel.w * in_channels;
  runs.count = kernel.h;
  runs.line = static_cast<long long>(out.w) * runs.length;
  runs.slice = runs.line * out.h * kernel.h;
  runs.terms = kernel.d * kernel.h * runs.length;
  if (thread < kRows) {
    const int row = first_row + thread;
    const Digits voxel = to_digits(row, {out.d, out.h, out.w});
    const long long slice = (static_cast<long long>(item) * out.d + voxel.second) * kernel.d;
    const long long start = slice * runs.slice + voxel.third * kernel.h * runs.line +
                            static_cast<long long>(voxel.fourth) * runs.length;
    shared.starts[thread] = row < voxels ? start : -1;
  }
  __syncthreads();

  float sums[kRun][4];
  const int first_stage = blockIdx.z * stages_per_split;
  const int all_stages = (runs.terms + kTerms - 1) / kTerms;
  multiply<kRows>(x, runs, weight, out_channels, first_stage,
                  min(stages_per_split, all_stages - first_stage), shared, sums);

  if (gridDim.z > 1) {
    const long long number = static_cast<long long>(blockIdx.x) * gridDim.y + blockIdx.y;
    float* const of_tile = partials + number * gridDim.z * kValues + thread * 4;
#pragma unroll
    for (int i = 0; i < kRun; i++) {
      store_four(of_tile + blockIdx.z * kValues + i * kThreads * 4, sums[i]);
    }
    if (!comes_last(tickets + number, gridDim.z)) return;
    clear(sums);
#pragma unroll 4
    for (int split = 0; split < static_cast<int>(gridDim.z); split++) {
#pragma unroll
      for (int i = 0; i < kRun; i++) {
        add_up_to_four(of_tile + split * kValues + i * kThreads * 4, 4, true, sums[i]);
      }
    }
  }

  const int first_column = blockIdx.y * kColumns;
  const int column = first_column + thread % 8 * 4;
  const int my_row = first_row + thread / 8 * kRun;
  const int height = column < out_channels ? min(voxels - my_row, kRun) : 0;
  const long long to = (static_cast<long long>(item) * voxels + my_row) * out_channels + column;
#pragma unroll
  for (int i = 0; i < kRun; i++) {
    if (i < height) epilogue.store(y, to + i * out_channels, column, sums[i], 4, true);
  }
  if (statistics.moments != nullptr) {
    take_moments<bfloat16, kColumns>(sums, height, first_column, out_channels, statistics);
  }
}

template <int kRows>
__device__ void upsample(const bfloat16* __restrict__ x, const uint4* __restrict__ weight,
                         const bfloat16* skip, bfloat16* y, long long voxels, Extents in,
                         Extents kernel, int in_channels, int out_channels) {
  constexpr int kRun = kRows / 16;
  __shared__ Shared<kRows> shared;
  const int thread = threadIdx.x;
  const long long first_row = static_cast<long long>(blockIdx.x) * kRows;
  if (thread < kRows) {
    const long long row = first_row + thread;
    shared.starts[thread] = row < voxels ? row * in_channels : -1;
  }
  __syncthreads();

  const int run = kernel.w * out_channels;
  const int columns = kernel.d * kernel.h * run;
  float sums[kRun][4];
  multiply<kRows>(x, {in_channels, 1, 0, 0, in_channels}, weight, columns, 0,
                  (in_channels + kTerms - 1) / kTerms, shared, sums);

  const int column = blockIdx.y * kColumns + thread % 8 * 4;
  const int plane = column / run;
  long long places[kRun];
  uint2 skips[kRun] = {};
#pragma unroll
  for (int i = 0; i < kRun; i++) {
    const long long row = first_row + thread / 8 * kRun + i;
    const Digits voxel = to_digits(row, {in.d, in.h, in.w});
    const long long slice = (static_cast<long long>(voxel.first) * in.d + voxel.second) * kernel.d;
    const long long line =
        ((slice + plane / kernel.h) * in.h + voxel.third) * kernel.h + plane % kernel.h;
    places[i] = row < voxels && column < columns
                    ? (line * in.w + voxel.fourth) * run + (column - plane * run)
                    : -1;
    if (skip != nullptr && places[i] >= 0) {
      skips[i] = *reinterpret_cast<const uint2*>(skip + places[i]);
    }
  }
#pragma unroll
  for (int i = 0; i < kRun; i++) {
    if (places[i] < 0) continue;
    const float4 more = to_four(skips[i]);
    const float four[4] = {sums[i][0] + more.x, sums[i][1] + more.y, sums[i][2] + more.z,
                           sums[i][3] + more.w};
    store_four(y + places[i], four);
  }
}

}  // namespace

#define PATCHES(size, rows)                                                                       \
  ENTRY(tensor_patches_embed_##size##_bf16, 128, const bfloat16* x, const uint4* weight,          \
        const float* bias, const bfloat16* addend, float slope, bfloat16* y, float* partials,     \
        unsigned* tickets, STATISTICS_PARAMETERS, int tiles, int depth, int height, int width,    \
        int kernel_depth, int kernel_height, int kernel_width, int in_channels, int out_channels, \
        int stages_per_split) {                                                                   \
    require_tensor_cores();                                                                       \
    embed<rows>(x, weight, {bias, addend, slope}, STATISTICS, y, partials, tickets, tiles,        \
                {depth, height, width}, {kernel_depth, kernel_height, kernel_width}, in_channels, \
                out_channels, stages_per_split);                                                  \
  }                                                                                               \
  ENTRY(tensor_patches_upsample_##size##_bf16, 128, const bfloat16* x, const uint4* weight,       \
        const bfloat16* skip, bfloat16* y, long long voxels, int depth, int height, int width,    \
        int kernel_depth, int kernel_height, int kernel_width, int in_channels,                   \
        int out_channels) {                                                                       \
    require_tensor_cores();                                                                       \
    upsample<rows>(x, weight, skip, y, voxels, {depth, height, width},                            \
                   {kernel_depth, kernel_height, kernel_width}, in_channels, out_channels);       \
  }

PATCHES(large, 64)
PATCHES(small, 32)

// Weights (first, second, taps) as a matrix of bfloat16, in the order in which lanes hold its 16 x
// 16 parts (mma.cuh): (columns / 16, rows / 16, 32 lanes, 2, 2, 2): of a lane the registers b0 and
// b1 of two neighboring products, and the two rows in one register. Zeros where there are no rows
// or columns. The columns are the first axis of the weights and the rows the second, or the other
// way round; the rows are (taps, rows), or the columns (taps, columns). Within 16, columns are
// exchanged so that a lane ends with four neighboring ones of a row of the result.
ENTRY(tensor_patches_pack, 256, const float* weight, bfloat16* packed, long long values, int rows,
      int columns, int taps, int taps_are_rows, int columns_are_first) {
  const long long i = thread_in_grid();
  if (i >= values) return;
  const int in_lane = static_cast<int>(i % 8);
  const int lane = static_cast<int>(i / 8 % kWarpSize);
  const long long fragment = i / (8 * kWarpSize);
  const long long all_rows = static_cast<long long>(taps_are_rows ? taps : 1) * rows;
  const long long all_columns = static_cast<long long>(taps_are_rows ? 1 : taps) * columns;
  const long long chunks = (all_rows + kFragment - 1) / kFragment;

  const long long row =
      fragment % chunks * kFragment + lane % 4 * 2 + in_lane / 2 % 2 * 8 + in_lane % 2;
  const int in_product = lane / 4;
  const long long column =
      fragment / chunks * kFragment + in_product / 2 * 4 + in_product % 2 + in_lane / 4 * 2;
  float value = 0.0f;
  if (row < all_rows && column < all_columns) {
    const long long tap = taps_are_rows ? row / rows : column / columns;
    const long long in = taps_are_rows ? row % rows : row;
    const long long out = taps_are_rows ? column : column % columns;
    value = weight[(columns_are_first ? out * rows + in : in * columns + out) * taps + tap];
  }
  packed[i] = from_float<bfloat16>(value);
}
