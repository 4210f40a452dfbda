// What a convolution makes besides y for the group normalization behind it: moments of each tile of
// voxels, merged by the last blocks to come, in fixed order.
#pragma once

#include "normalization.cuh"

constexpr int kStatisticsThreads = 128;  // of a block that takes moments of runs

/// What a convolution makes besides y for the group normalization behind it. Every block leaves the
/// moments of its tile; the last block to come of a group of tiles merges theirs, to the place of
/// the first; the last block of an item makes the coefficients of them.
struct Statistics {
  Moments* moments;      // (items, tiles, channels), or null where nothing is asked for
  const float* gamma;    // of each channel, or null
  float2* coefficients;  // (items, channels) of (mean, rstd * gamma)
  unsigned* tickets;     // of each item, then of each group of each tile of channels of each item
  int tiles;             // of voxels of an item
  int group;             // tiles of a group
  int width;             // channels that are normalized together
  float epsilon;
};

/// Merges the moments of count tiles, a stride apart; the first kColumns threads get those of a
/// channel each, if it is there.
template <int kThreads, int kColumns>
__device__ __forceinline__ Moments merge_tiles(const Moments* from, int count, long long stride,
                                               bool is_there, Moments* scratch) {
  constexpr int kLanes = kThreads / kColumns;
  const int column = threadIdx.x % kColumns;
  const int lane = threadIdx.x / kColumns;
  Moments total = {};
  if (is_there) {
    for (int tile = lane; tile < count; tile += kLanes) total.add(from[tile * stride + column]);
  }
  scratch[threadIdx.x] = total;
  __syncthreads();
  if (lane == 0) {
    for (int other = 1; other < kLanes; other++) total.add(scratch[other * kColumns + column]);
  }
  __syncthreads();  // scratch may be used again
  return total;
}

/// Leaves the moments that each warp of a block has of kColumns channels, (warps, kColumns) in
/// scratch, which has kThreads at least; the last block makes the coefficients. Block (x, y) has
/// tile x of voxels, counted through the items, and tile y of channels. All threads must call it,
/// behind a barrier.
template <int kThreads, int kColumns>
__device__ __forceinline__ void leave_moments(Moments* scratch, int first_column, int channels,
                                              const Statistics& statistics) {
  const int thread = threadIdx.x;
  const int item = blockIdx.x / statistics.tiles;
  const int tile = blockIdx.x - item * statistics.tiles;
  const bool is_there = first_column + thread % kColumns < channels;
  const bool stores = is_there && thread < kColumns;
  Moments* const of_item =
      statistics.moments + static_cast<long long>(item) * statistics.tiles * channels;
  Moments total = {};
  if (stores) {
    for (int warp = 0; warp < kThreads / kWarpSize; warp++) {
      total.add(scratch[warp * kColumns + thread]);
    }
    of_item[static_cast<long long>(tile) * channels + first_column + thread] = total;
  }

  const int groups = (statistics.tiles + statistics.group - 1) / statistics.group;
  const int own_group = tile / statistics.group;
  if (statistics.group > 1) {
    const int first_tile = own_group * statistics.group;
    const int members = min(statistics.group, statistics.tiles - first_tile);
    unsigned* const group_tickets = statistics.tickets + gridDim.x / statistics.tiles +
                                    (item * gridDim.y + blockIdx.y) * groups;
    if (!comes_last(group_tickets + own_group, members)) return;
    Moments* const of_group =
        of_item + static_cast<long long>(first_tile) * channels + first_column;
    total = merge_tiles<kThreads, kColumns>(of_group, members, channels, is_there, scratch);
    if (stores) of_group[thread] = total;
  }

  if (!comes_last(statistics.tickets + item, gridDim.y * groups)) return;
  for (int first = 0; first < channels; first += kColumns) {
    const bool has_channel = first + thread % kColumns < channels;
    total = merge_tiles<kThreads, kColumns>(of_item + first, groups,
                                            static_cast<long long>(statistics.group) * channels,
                                            has_channel, scratch);
    if (has_channel && thread < kColumns) of_item[first + thread] = total;
  }
  __syncthreads();
  for (int c = thread; c < channels; c += kThreads) {
    const int first = c / statistics.width * statistics.width;
    total = {};
    for (int i = 0; i < statistics.width; i++) total.add(of_item[first + i]);
    const float rstd = rsqrtf(total.squares / total.count + statistics.epsilon);
    statistics.coefficients[static_cast<long long>(item) * channels + c] =
        make_float2(total.mean, statistics.gamma == nullptr ? rstd : rstd * statistics.gamma[c]);
  }
}

/// Takes the moments of what a block has stored of kColumns channels: of each thread the first rows
/// of kRun voxels x 4 channels, the quad of thread % (kColumns / 4). All threads must call it.
template <typename T, int kColumns, int kRun>
__device__ __forceinline__ void take_moments(const float (&values)[kRun][4], int rows,
                                             int first_column, int channels,
                                             const Statistics& statistics) {
  constexpr int kQuads = kColumns / 4;
  __shared__ Moments scratch[kStatisticsThreads];
  const int thread = threadIdx.x;
#pragma unroll
  for (int j = 0; j < 4; j++) {
    float sum = 0.0f;
#pragma unroll
    for (int i = 0; i < kRun; i++) {
      if (i < rows) sum += to_float(from_float<T>(values[i][j]));
    }
    const float mean = rows > 0 ? sum / rows : 0.0f;
    float squares = 0.0f;
#pragma unroll
    for (int i = 0; i < kRun; i++) {
      const float centered = to_float(from_float<T>(values[i][j])) - mean;
      if (i < rows) squares += centered * centered;
    }
    Moments own = {static_cast<float>(max(rows, 0)), mean, squares};
#pragma unroll
    for (int offset = kWarpSize / 2; offset >= kQuads; offset /= 2) {
      own.add({__shfl_xor_sync(kAllLanes, own.count, offset),
               __shfl_xor_sync(kAllLanes, own.mean, offset),
               __shfl_xor_sync(kAllLanes, own.squares, offset)});
    }
    const int lane = thread % kWarpSize;
    if (lane < kQuads) scratch[thread / kWarpSize * kColumns + lane * 4 + j] = own;
  }
  __syncthreads();
  leave_moments<kStatisticsThreads, kColumns>(scratch, first_column, channels, statistics);
}

// The parameters of an entry point that takes statistics, and these as one value.
#define STATISTICS_PARAMETERS                                                               \
  Moments *moments, const float *gamma, float2 *coefficients, unsigned *statistics_tickets, \
      int tiles_of_item, int group, int width_of_norm, float epsilon
#define STATISTICS \
  { moments, gamma, coefficients, statistics_tickets, tiles_of_item, group, width_of_norm, epsilon }
