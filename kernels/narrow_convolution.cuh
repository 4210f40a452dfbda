// Convolutions by 3x3x3 of at most 16 channels on tensor cores, by blocks that walk along the
// depth: what is read, the source, and what becomes of the sums, the sink, differ from kernel to
// kernel.
//
// A block has a column of 12 x 32 voxels (H x W) and 16 channels of y. Its warps keep all 27 x 16 x
// 16 weights in registers, 108 of each lane, and sums of three planes: each plane of the input lies
// in shared memory once, with a halo of one, and adds to the planes before, at and after it. A warp
// has 3 x 16 voxels.
//
// For each plane of the column and the one before and behind it, a source
//   begin(d, plane)     begins to copy what plane d of the input is made of,
//   complete(d, plane)  makes it of that; not for planes outside of the volume, which add nothing.
// Both go ahead of the sums: while those of a plane are added, the next plane is completed and the
// one after that is copied, with one barrier for all; so that some warps are in products while
// others are elsewhere. kPlanes of a source take turns.
// A sink gets the sums of a plane of y: take(z, sums) where z of the column's planes came before.
#pragma once

#include "statistics.cuh"
#include "tensor_convolution.cuh"

constexpr int kNarrowThreads = 256;
constexpr int kNarrowWarps = kNarrowThreads / kWarpSize;
constexpr int kPlaneHeight = 12;
constexpr int kPlaneWidth = 32;
constexpr int kLinesOfWarp = 3;
constexpr int kWarpsOfWidth = kPlaneWidth / 16;
constexpr int kHaloHeight = kPlaneHeight + 2;
constexpr int kHaloWidth = kPlaneWidth + 2;
constexpr int kHaloVoxels = kHaloHeight * kHaloWidth;
constexpr int kPlanePitch = 40;  // a multiple of 8, so that quad_of is the same in every line
constexpr int kPlaneQuads = kHaloHeight * kPlanePitch * 2;

static_assert(kPlaneHeight / kLinesOfWarp * kWarpsOfWidth == kNarrowWarps);

/// Sums of the plane of a warp: of 3 lines of 16 voxels x 2 x 8 channels, whose columns are
/// exchanged so that a lane has four neighboring ones of each of its voxels.
using LineSums = float[kLinesOfWarp][2][4];

/// The first line of a warp within its block's plane.
__device__ __forceinline__ int narrow_line() {
  return threadIdx.x / kWarpSize / kWarpsOfWidth * kLinesOfWarp;
}

/// The voxel of a line that this lane has; another one is 8 further on.
__device__ __forceinline__ int narrow_voxel() {
  return threadIdx.x / kWarpSize % kWarpsOfWidth * 16 + threadIdx.x % kWarpSize / 4;
}

/// The first of four channels that this lane has.
__device__ __forceinline__ int narrow_channel() { return threadIdx.x % 4 * 4; }

/// What a block computes: planes of a tile of an item. It lies in shared memory, as registers are
/// for weights and sums.
struct Column {
  Extents extents;
  int item, first_d, first_h, first_w, depth;

  /// That of this block, in shared memory that all threads see.
  __device__ __forceinline__ static void set(Column& column, Extents extents, int depth_per_block) {
    if (threadIdx.x == 0) column = of_block(extents, depth_per_block);
    __syncthreads();
  }

  __device__ __forceinline__ static Column of_block(Extents extents, int depth_per_block) {
    const Radices tiles = {(extents.d + depth_per_block - 1) / depth_per_block,
                           (extents.h + kPlaneHeight - 1) / kPlaneHeight,
                           (extents.w + kPlaneWidth - 1) / kPlaneWidth};
    const Digits tile = to_digits(blockIdx.x, tiles);
    const int first_d = tile.second * depth_per_block;
    return {extents,
            tile.first,
            first_d,
            tile.third * kPlaneHeight,
            tile.fourth * kPlaneWidth,
            min(depth_per_block, extents.d - first_d)};
  }

  __device__ __forceinline__ long long voxel(int d, int h, int w) const {
    return ((static_cast<long long>(item) * extents.d + d) * extents.h + h) * extents.w + w;
  }

  /// Whether the volume has plane d.
  __device__ __forceinline__ bool has(int d) const { return d >= 0 && d < extents.d; }

  /// Whether plane d belongs to the column, and not to what others compute.
  __device__ __forceinline__ bool has_plane(int d) const {
    return d >= first_d && d < first_d + depth;
  }

  /// Lines of this warp that the volume has, and which of the two voxels of this lane.
  __device__ __forceinline__ int lines() const {
    return max(0, min(kLinesOfWarp, extents.h - first_h - narrow_line()));
  }

  __device__ __forceinline__ int voxels_of_line() const {
    const int left = extents.w - first_w - narrow_voxel();
    return left > 8 ? 2 : left > 0 ? 1 : 0;
  }
};

// ---- the walk ---------------------------------------------------------------------------------

/// Adds one plane to the three planes of sums that it belongs to.
template <int kPhase>
__device__ __forceinline__ void add_plane(const uint4* plane, const unsigned (&weights)[kTaps][4],
                                          LineSums (&sums)[3]) {
  const int lane = threadIdx.x % kWarpSize;
  const int column = threadIdx.x / kWarpSize % kWarpsOfWidth * 16;
  const int first = narrow_line() * kPlanePitch + column + lane % 16;
#pragma unroll
  for (int kw = 0; kw < 3; kw++) {
    const uint4* const place = plane + quad_of(first + kw, lane / 16);
#pragma unroll
    for (int row = 0; row < kLinesOfWarp + 2; row++) {
      unsigned voxels[4];
      load_matrices(voxels, place + row * kPlanePitch * 2);
#pragma unroll
      for (int line = 0; line < kLinesOfWarp; line++) {
        const int kh = row - line;
        if (kh < 0 || kh > 2) continue;
#pragma unroll
        for (int kd = 0; kd < 3; kd++) {
          const unsigned(&w)[4] = weights[(kh * 3 + kd) * 3 + kw];
          float(&to)[2][4] = sums[(kPhase + 3 - kd) % 3][line];
          multiply_add(to[0], voxels, w[0], w[1]);
          multiply_add(to[1], voxels, w[2], w[3]);
        }
      }
    }
  }
}

/// Walks along a column. weight is packed; planes has room for Source::kPlanes.
template <typename Source, typename Sink>
__device__ __forceinline__ void walk(const Column& column, const uint4* __restrict__ weight,
                                     uint4* planes, Source& source, Sink& sink) {
  unsigned weights[kTaps][4];
#pragma unroll
  for (int tap = 0; tap < kTaps; tap++) {
    const uint4 four = weight[(blockIdx.y * kTaps + tap) * kWarpSize + threadIdx.x % kWarpSize];
    weights[tap][0] = four.x;
    weights[tap][1] = four.y;
    weights[tap][2] = four.z;
    weights[tap][3] = four.w;
  }

  LineSums sums[3] = {};
  const auto add = [&](int z, bool is_there, auto phase) {
    constexpr int kPhase = decltype(phase)::value;
    constexpr int kReady = (kPhase + 1) % 3;  // the plane that gets nothing more
    if (is_there) add_plane<kPhase>(planes + z % Source::kPlanes * kPlaneQuads, weights, sums);
    if (z >= 2) sink.take(z - 2, sums[kReady]);
#pragma unroll
    for (int line = 0; line < kLinesOfWarp; line++) {
#pragma unroll
      for (int i = 0; i < 4; i++) sums[kReady][line][0][i] = sums[kReady][line][1][i] = 0.0f;
    }
  };

  const int end = column.depth + 2;
  const auto plane_of = [&](int z) { return planes + z % Source::kPlanes * kPlaneQuads; };
  source.begin(column.first_d - 1, plane_of(0));
  end_copy_group();
  wait_for_copies<0>();
  __syncthreads();
#pragma unroll 1
  for (int z = -1; z < end; z++) {  // plane z is complete, the next one is copied
    const int d = column.first_d + z - 1;
    if (z + 2 < end) source.begin(d + 2, plane_of(z + 2));
    end_copy_group();
    switch (z < 0 ? -1 : z % 3) {  // sums stay in their registers
      case 0:
        add(z, column.has(d), Constant<0>());
        break;
      case 1:
        add(z, column.has(d), Constant<1>());
        break;
      case 2:
        add(z, column.has(d), Constant<2>());
    }
    if (z + 1 < end && column.has(d + 1)) source.complete(d + 1, plane_of(z + 1));
    wait_for_copies<0>();
    __syncthreads();
  }
}

// ---- sources ----------------------------------------------------------------------------------

/// Calls f(line, column, half) for what this thread has of a plane with its halo: 8 of the 16
/// channels of each of some voxels, always the same ones.
template <typename F>
__device__ __forceinline__ void for_each_half(F f) {
#pragma unroll 1
  for (int i = threadIdx.x; i < kHaloVoxels * 2; i += kNarrowThreads) {
    f(i / 2 / kHaloWidth, i / 2 % kHaloWidth, i % 2);
  }
}

/// Begins to copy plane d of a volume of up to 16 channels, with a halo of one.
__device__ __forceinline__ void copy_plane(const bfloat16* x, const Column& column, int channels,
                                           int d, uint4* plane) {
  if (d < 0 || d >= column.extents.d) return;
  for_each_half([&](int line, int at_w, int half) {
    const int h = column.first_h - 1 + line;
    const int w = column.first_w - 1 + at_w;
    const bool is_there = is_inside(d, h, w, column.extents) && half * 8 < channels;
    const long long from = column.voxel(d, h, w) * channels + half * 8;
    copy_16_bytes(plane + quad_of(line * kPlanePitch + at_w, half), is_there ? x + from : x,
                  is_there);
  });
}

/// The values of a volume.
struct AsTheyAre {
  static constexpr int kPlanes = 3;
  const bfloat16* x;
  const Column& column;
  int channels;

  __device__ __forceinline__ void begin(int d, uint4* plane) const {
    copy_plane(x, column, channels, d, plane);
  }

  __device__ __forceinline__ void complete(int, uint4*) const {}
};

/// The values of a volume, normalized and activated, which padding is not.
struct Normalized {
  static constexpr int kPlanes = 3;
  const bfloat16* x;
  const Column& column;
  int channels;
  Prologue prologue;

  __device__ __forceinline__ void begin(int d, uint4* plane) const {
    copy_plane(x, column, channels, d, plane);
  }

  /// In place.
  __device__ __forceinline__ void complete(int, uint4* plane) const {
    if (prologue.coefficients == nullptr) return;
    const int first = column.item * channels + threadIdx.x % 2 * 8;
    for_each_half([&](int line, int at_w, int half) {
      const int h = column.first_h - 1 + line;
      const int w = column.first_w - 1 + at_w;
      if (!is_inside(0, h, w, column.extents) || half * 8 >= channels) return;
      uint4& eight = plane[quad_of(line * kPlanePitch + at_w, half)];
      eight.x = apply(eight.x, first);
      eight.y = apply(eight.y, first + 2);
      eight.z = apply(eight.z, first + 4);
      eight.w = apply(eight.w, first + 6);
    });
  }

 private:
  __device__ __forceinline__ unsigned apply(unsigned pair, int channel) const {
    const float4 two = *reinterpret_cast<const float4*>(prologue.coefficients + channel);
    const float lower = __uint_as_float(pair << 16);
    const float upper = __uint_as_float(pair & 0xffff0000u);
    return pack_pair(prologue.apply(lower, make_float2(two.x, two.y)),
                     prologue.apply(upper, make_float2(two.z, two.w)));
  }
};

// ---- sinks ------------------------------------------------------------------------------------

/// Stores f(sums), as finish_four.
struct Finished {
  const Column& column;
  bfloat16* y;
  int channels;
  Finish finish;

  __device__ __forceinline__ void take(int z, const LineSums& sums) const {
    const int channel = blockIdx.y * kPair + narrow_channel();
#pragma unroll
    for (int line = 0; line < kLinesOfWarp; line++) {
      const int h = column.first_h + narrow_line() + line;
#pragma unroll
      for (int upper = 0; upper < 2; upper++) {
        const int w = column.first_w + narrow_voxel() + upper * 8;
        if (h < column.extents.h && w < column.extents.w && channel < channels) {
          const long long voxel = column.voxel(column.first_d + z, h, w);
          const float four[4] = {sums[line][0][upper * 2], sums[line][0][upper * 2 + 1],
                                 sums[line][1][upper * 2], sums[line][1][upper * 2 + 1]};
          finish_four(y, voxel * channels + channel, channel, four, finish);
        }
      }
    }
  }
};

/// Rounds two neighboring channels of a voxel to bfloat16, also where they are.
__device__ __forceinline__ unsigned round_pair(float (&sums)[4], int upper) {
  const unsigned pair = pack_pair(sums[upper * 2], sums[upper * 2 + 1]);
  sums[upper * 2] = __uint_as_float(pair << 16);
  sums[upper * 2 + 1] = __uint_as_float(pair & 0xffff0000u);
  return pair;
}

/// Moments of the four channels of each thread of a block, in shared memory.
struct LaneMoments {
  float4 mean[kNarrowThreads];
  float4 squares[kNarrowThreads];
};

/// Merges the moments of a plane, the one that z planes came before, into those of this thread:
/// values[line][pair][upper * 2 + i] is channel 2 pair + i of voxel upper of a line.
__device__ __forceinline__ void add_moments(const Column& column, int z, const LineSums& values,
                                            LaneMoments& moments) {
  const int lines = column.lines();
  const int voxels = column.voxels_of_line();
  const float count = static_cast<float>(lines * voxels);
  if (lines * voxels == 0) return;
  const float before = count * z;
  const float weight = count / (before + count);
  const float share = 1.0f / count;
  float* const means = reinterpret_cast<float*>(moments.mean + threadIdx.x);
  float* const squares = reinterpret_cast<float*>(moments.squares + threadIdx.x);
#pragma unroll
  for (int channel = 0; channel < 4; channel++) {
    const auto value = [&](int line, int upper) {
      return values[line][channel / 2][upper * 2 + channel % 2];
    };
    float sum = 0.0f;
#pragma unroll
    for (int line = 0; line < kLinesOfWarp; line++) {
      if (line < lines) sum += value(line, 0);
      if (line < lines && voxels == 2) sum += value(line, 1);
    }
    const float mean = sum * share;
    float deviations = 0.0f;
#pragma unroll
    for (int line = 0; line < kLinesOfWarp; line++) {
      const float first = value(line, 0) - mean;
      const float second = value(line, 1) - mean;
      if (line < lines) deviations += first * first;
      if (line < lines && voxels == 2) deviations += second * second;
    }
    const float mean_before = z == 0 ? 0.0f : means[channel];
    const float squares_before = z == 0 ? 0.0f : squares[channel];
    const float delta = mean - mean_before;
    means[channel] = mean_before + delta * weight;
    squares[channel] = squares_before + (deviations + delta * delta * (before * weight));
  }
}

/// Merges the moments of a warp's lanes, to those of its 16 channels: (warps, kColumns) from
/// scratch on. All threads must call it.
template <int kColumns>
__device__ __forceinline__ void merge_lanes(const Column& column, const LaneMoments& moments,
                                            Moments* scratch) {
  const int lane = threadIdx.x % kWarpSize;
  const float count = static_cast<float>(column.lines() * column.voxels_of_line()) * column.depth;
  const float* const means = reinterpret_cast<const float*>(moments.mean + threadIdx.x);
  const float* const squares = reinterpret_cast<const float*>(moments.squares + threadIdx.x);
#pragma unroll
  for (int channel = 0; channel < 4; channel++) {
    Moments own = {};
    if (count > 0.0f) own = {count, means[channel], squares[channel]};
#pragma unroll
    for (int offset = 4; offset < kWarpSize; offset *= 2) {
      own.add({__shfl_xor_sync(kAllLanes, own.count, offset),
               __shfl_xor_sync(kAllLanes, own.mean, offset),
               __shfl_xor_sync(kAllLanes, own.squares, offset)});
    }
    if (lane < 4) scratch[threadIdx.x / kWarpSize * kColumns + narrow_channel() + channel] = own;
  }
}

/// Stores the sums and takes the moments of what is stored.
struct Measured {
  const Column& column;
  bfloat16* y;
  int channels;
  LaneMoments& moments;

  __device__ __forceinline__ void take(int z, LineSums& sums) const {
    const int channel = blockIdx.y * kPair + narrow_channel();
#pragma unroll
    for (int line = 0; line < kLinesOfWarp; line++) {
      const int h = column.first_h + narrow_line() + line;
#pragma unroll
      for (int upper = 0; upper < 2; upper++) {
        const int w = column.first_w + narrow_voxel() + upper * 8;
        const uint2 four =
            make_uint2(round_pair(sums[line][0], upper), round_pair(sums[line][1], upper));
        if (h < column.extents.h && w < column.extents.w && channel < channels) {
          const long long voxel = column.voxel(column.first_d + z, h, w);
          *reinterpret_cast<uint2*>(y + voxel * channels + channel) = four;
        }
      }
    }
    add_moments(column, z, sums, moments);
  }

  /// Makes the coefficients of what all blocks have stored. scratch, in shared memory, may be what
  /// the walk had.
  __device__ __forceinline__ void finish(Moments* scratch, const Statistics& statistics) const {
    __syncthreads();
    merge_lanes<kPair>(column, moments, scratch);
    __syncthreads();
    leave_moments<kNarrowThreads, kPair>(scratch, blockIdx.y * kPair, channels, statistics);
  }
};

static_assert(kPlaneQuads * sizeof(uint4) >= kNarrowThreads * sizeof(Moments));
