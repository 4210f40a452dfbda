// Convolution of volumes by 3x3x3, stride 1 and padding 1 on tensor cores, in bfloat16, and its
// gradient with respect to what it reads; also with a 1x1x1 convolution behind it, its tail. That
// of at most 16 channels of x is in narrow_convolution.cu.
//
//   z[b, v, n] = f(sum_{t, c} x[b, v - 1 + t, c] weight[n, c, t] + bias[n] + addend[b, v, n])
//   f(s) = s where s > 0, else slope s
//   y = z, or with a tail y[b, v, m] = sum_n z[b, v, n] tail[m, n] + tail_bias[m] + skip[b, v, m]
//
// The gradient is the same with the taps in reverse and the channels exchanged. bias and addend may
// be missing; with a slope of 1, f leaves all as it is.
//
// Shapes   x (B, D, H, W, C), y, addend and skip (B, D, H, W, N) of bfloat16, aligned to 16 bytes,
//          C and N multiples of 8; weight (N, C, 27), tail (N, N) and biases (N) of float. Kernels
//          read weights packed as bfloat16 in the order in which lanes hold them (mma.cuh), for 16
//          channels of x and 16 of y at a time; see pack below, for the tail tensor_patches.cu.
//          Their columns are exchanged so that a lane ends with four neighboring channels of a
//          voxel, which it stores at once. skip is not y.
// Launch   large   a block has 4x8x8 voxels x 32 channels of y and walks over x, 16 channels and
//                  one kh at a time: voxels with a halo, and 9 taps of weights, lie in shared
//                  memory, the next ones are copied meanwhile. A warp has 4x2x8 voxels x 32
//                  channels; what it loads of x serves all three kd.
//          small   the same with 4x4x4 voxels x 32 channels; a warp has 2x4x4 x 16.
//          slim    the same with 4x4x4 voxels x 16 channels.
//                  grid = (tiles of voxels, N / channels of a block, splits), block = 128, 56,832,
//                  78,336 or 66,560 bytes of dynamic shared memory. Where there are fewer tiles
//                  than fill the device, blocks share a tile and divide its channels of x; the last
//                  one to come adds their sums up, in order. A tail needs all channels of a voxel:
//                  the last block of a tile to come multiplies them.
//          pack    a thread for each packed value.
// Traffic  of large, a tile reads x 2.3 times, of small and slim 3.4 times, nearly all from L2, and
//          each block 1728 bytes of weights for each channel of x. Splits write and read 4 bytes a
//          value each. A tail reads 2 N^2 bytes of weights for each 64 voxels of a tile and, with
//          N > 32, z once.
// Numerics x as it is, weights rounded to bfloat16, sums in float in the registers of the tensor
//          cores, in an order that depends on the splits alone; y, or z and y, rounded once, after
//          f. Rounding weights and results makes a relative error of 1.5e-3 each.
// Launcher org.unetrpp.backend.cuda.TensorConvolutions, TensorWeights
#include "tensor_convolution.cuh"

namespace {

// ---- any channels of x ------------------------------------------------------------------------

/// What follows the convolution; without weights, nothing does.
struct Tail {
  const uint4* weight;
  const float* bias;     // or null
  const bfloat16* skip;  // or null
};

/// Begins to bring the weights of a tail to where they are near when they are needed.
__device__ __forceinline__ void prefetch_tail(const Tail& tail, int channels) {
  constexpr int kLine = 128;
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int line = block * blockDim.x + threadIdx.x;
  if (line < channels * channels * 2 / kLine) {
    prefetch(reinterpret_cast<const unsigned char*>(tail.weight) + line * kLine);
  }
}

constexpr int kTiledThreads = 128;
constexpr int kTiledWarps = kTiledThreads / kWarpSize;
constexpr int kPart = 64;  // voxels that a warp multiplies with a pair of the tail's columns
constexpr int kRing = 16;  // weights of a lane that are there or on their way

/// The weights of a tail on their way to the lane that multiplies with them, who alone copies and
/// reads its own: for one part and pair after the other, those of all chunks.
struct TailWeights {
  const uint4* weight;
  uint4* ring;
  int pairs, chunks, units;
  int unit, chunk, slot;  // of the next copy

  __device__ __forceinline__ TailWeights(const Tail& tail, uint4* shared, int channels, int parts)
      : weight(tail.weight + threadIdx.x % kWarpSize),
        ring(shared + threadIdx.x),
        pairs((channels + kPair - 1) / kPair),
        chunks((channels + kChunk - 1) / kChunk),
        units(parts * pairs) {
    begin();
  }

  /// Copies the first ones, once all before have been read.
  __device__ __forceinline__ void begin() {
    unit = threadIdx.x / kWarpSize;
    chunk = slot = 0;
#pragma unroll 1
    for (int i = 0; i < kRing - 1; i++) copy_next();
  }

  __device__ __forceinline__ void copy_next() {
    if (unit < units) {
      const uint4* const from = weight + (unit % pairs * chunks + chunk) * kWarpSize;
      copy_16_bytes(ring + slot * kTiledThreads, from, true);
      if (++chunk == chunks) {
        chunk = 0;
        unit += kTiledWarps;
      }
    }
    end_copy_group();
    slot = (slot + 1) % kRing;
  }
};

/// Multiplies voxels in shared memory, a row for each, with the tail's weights and stores y;
/// voxel_of(row) is a voxel's place in y, or negative where there is none.
template <typename VoxelOf>
__device__ __forceinline__ void multiply_tail(TailWeights& weights, const Tail& tail,
                                              const uint4* rows, int pitch, bfloat16* y,
                                              int channels, VoxelOf voxel_of) {
  constexpr int kProducts = kPart / 16;
  const int lane = threadIdx.x % kWarpSize;
  int slot = 0;
#pragma unroll 1
  for (int unit = threadIdx.x / kWarpSize; unit < weights.units; unit += kTiledWarps) {
    const int first_row = unit / weights.pairs * kPart;
    const int column = unit % weights.pairs * kPair + lane % 4 * 4;
    uint2 skips[kProducts][2] = {};
#pragma unroll
    for (int i = 0; i < kProducts * 2; i++) {
      const long long voxel = voxel_of(first_row + i * 8 + lane / 4);
      if (tail.skip != nullptr && voxel >= 0 && column < channels) {
        skips[i / 2][i % 2] =
            *reinterpret_cast<const uint2*>(tail.skip + voxel * channels + column);
      }
    }
    float sums[kProducts][2][4] = {};
#pragma unroll 1
    for (int chunk = 0; chunk < weights.chunks; chunk++) {
      wait_for_copies<kRing - 2>();
      const uint4 w = weights.ring[slot * kTiledThreads];
      slot = (slot + 1) % kRing;
#pragma unroll
      for (int i = 0; i < kProducts; i++) {
        unsigned voxels[4];
        const int row = first_row + i * 16 + lane % 16;
        load_matrices(voxels, rows + row * pitch + chunk * 2 + lane / 16);
        multiply_add(sums[i][0], voxels, w.x, w.y);
        multiply_add(sums[i][1], voxels, w.z, w.w);
      }
      weights.copy_next();  // to where the weights before these were
    }
    const float4 bias = biases_of(tail.bias, column, channels);
#pragma unroll
    for (int i = 0; i < kProducts * 2; i++) {
      const long long voxel = voxel_of(first_row + i * 8 + lane / 4);
      if (voxel < 0 || column >= channels) continue;
      const float4 skip = to_four(skips[i / 2][i % 2]);
      const float(&of)[2][4] = sums[i / 2];
      const int upper = i % 2 * 2;
      const float four[4] = {of[0][upper] + bias.x + skip.x, of[0][upper + 1] + bias.y + skip.y,
                             of[1][upper] + bias.z + skip.z, of[1][upper + 1] + bias.w + skip.w};
      store_four(y + voxel * channels + column, four);
    }
  }
  wait_for_copies<0>();
}

/// How a block of four warps divides 4 x kHeight x kWidth voxels x kColumns channels. A warp has
/// kDepths products of 16 voxels (16 / kWidth lines of kWidth), one behind the other along D, and
/// kPairs times 16 channels. What kStages - 1 steps ahead need is being copied.
template <int kHeight_, int kWidth_, int kColumns_, int kDepths_, int kPairs_, int kStages_>
struct Tile {
  static constexpr int kThreads = kTiledThreads;
  static constexpr int kDepth = 4;
  static constexpr int kHeight = kHeight_;
  static constexpr int kWidth = kWidth_;
  static constexpr int kDepths = kDepths_;
  static constexpr int kPairs = kPairs_;
  static constexpr int kStages = kStages_;
  static constexpr int kHalos = (kStages + 6) / 3;  // chunks that are read or being copied
  static constexpr int kColumns = kColumns_;
  static constexpr int kVoxels = kDepth * kHeight * kWidth;
  static constexpr int kValues = kVoxels * kColumns;
  static constexpr int kFours = kValues / kThreads / 4;       // of a thread
  static constexpr int kSplitsAtOnce = kFours >= 16 ? 1 : 4;  // whose values are on their way
  static constexpr int kLines = 16 / kWidth;
  static constexpr int kWarpsOfPairs = kColumns / kPair / kPairs;
  static constexpr int kWarpsOfHeight = kHeight / kLines;
  static_assert(kWarpsOfPairs * kWarpsOfHeight * (kDepth / kDepths) == kThreads / kWarpSize);

  static constexpr int kHaloHeight = kHeight + 2;
  static constexpr int kHaloWidth = kWidth + 2;
  // lines of four voxels begin at different halves of the banks
  static constexpr int kPitch = kWidth == 4 ? 12 : kHaloWidth;
  static constexpr int kHaloQuads = (kDepth + 2) * kHaloHeight * kPitch * 2;
  static constexpr int kWeightQuads = kTaps / 3 * (kColumns / kPair) * kWarpSize;
};

template <typename Tile>
__device__ void forward_tiled(const bfloat16* __restrict__ x, const uint4* __restrict__ weight,
                              bfloat16* y, float* partials, unsigned* tickets, const Finish finish,
                              const Tail tail, Extents extents, int in_channels, int out_channels,
                              int chunks_per_split) {
  DYNAMIC_SHARED(uint4, shared);
  uint4* const halos = shared;
  uint4* const slabs = shared + Tile::kHalos * Tile::kHaloQuads;

  const int thread = threadIdx.x;
  const int lane = thread % kWarpSize;
  const int warp = thread / kWarpSize;
  const int first_pair = warp % Tile::kWarpsOfPairs * Tile::kPairs;
  const int line_of_warp = warp / Tile::kWarpsOfPairs % Tile::kWarpsOfHeight * Tile::kLines;
  const int depth_of_warp = warp / Tile::kWarpsOfPairs / Tile::kWarpsOfHeight * Tile::kDepths;

  const Radices tiles = {(extents.d + Tile::kDepth - 1) / Tile::kDepth,
                         (extents.h + Tile::kHeight - 1) / Tile::kHeight,
                         (extents.w + Tile::kWidth - 1) / Tile::kWidth};
  const Digits tile = to_digits(blockIdx.x, tiles);
  const int first_d = tile.second * Tile::kDepth;
  const int first_h = tile.third * Tile::kHeight;
  const int first_w = tile.fourth * Tile::kWidth;
  const long long item = static_cast<long long>(tile.first) * extents.d;

  const int chunks = (in_channels + kChunk - 1) / kChunk;
  const int first_chunk = blockIdx.z * chunks_per_split;
  const int steps = (min(chunks, first_chunk + chunks_per_split) - first_chunk) * 3;

  if (tail.weight != nullptr) prefetch_tail(tail, out_channels);

  // the third with this number of all that this block needs of x: two planes of a chunk
  const auto copy_planes = [&](int third) {
    if (third >= steps) return;
    const int chunk = third / 3;
    uint4* const halo = halos + chunk % Tile::kHalos * Tile::kHaloQuads;
    constexpr int kVoxels = 2 * Tile::kHaloHeight * Tile::kHaloWidth;
    for (int i = thread; i < kVoxels * 2; i += Tile::kThreads) {
      const int line = third % 3 * 2 * Tile::kHaloHeight + i / 2 / Tile::kHaloWidth;
      const int at_w = i / 2 % Tile::kHaloWidth;
      const int d = first_d - 1 + line / Tile::kHaloHeight;
      const int h = first_h - 1 + line % Tile::kHaloHeight;
      const int w = first_w - 1 + at_w;
      const int c = (first_chunk + chunk) * kChunk + i % 2 * 8;
      const bool is_there = is_inside(d, h, w, extents) && c < in_channels;
      const long long voxel = ((item + d) * extents.h + h) * extents.w + w;
      copy_16_bytes(halo + quad_of(line * Tile::kPitch + at_w, i % 2),
                    is_there ? x + voxel * in_channels + c : x, is_there);
    }
  };
  const uint4* const weights_of_block =
      weight + (static_cast<long long>(blockIdx.y) * chunks + first_chunk) * 3 * Tile::kWeightQuads;
  const auto copy_weights = [&](int step) {
    if (step >= steps) return;
    uint4* const slab = slabs + step % Tile::kStages * Tile::kWeightQuads;
    const uint4* const from = weights_of_block + step * Tile::kWeightQuads;
    for (int i = thread; i < Tile::kWeightQuads; i += Tile::kThreads) {
      copy_16_bytes(slab + i, from + i, true);
    }
  };

  // where this lane's line of the halo begins that the warp's first product reads with no tap added
  const int voxel_of_lane =
      (depth_of_warp * Tile::kHaloHeight + line_of_warp + lane % 16 / Tile::kWidth) * Tile::kPitch +
      lane % Tile::kWidth;
  float sums[Tile::kDepths][Tile::kPairs][2][4] = {};
  copy_planes(0);
  copy_planes(1);
  for (int step = 0; step < Tile::kStages - 1; step++) {
    copy_planes(step + 2);
    copy_weights(step);
    end_copy_group();
  }
  for (int step = 0; step < steps; step++) {
    wait_for_copies<Tile::kStages - 2>();
    __syncthreads();  // also, everyone is done with what the next copies overwrite
    copy_planes(step + Tile::kStages + 1);
    copy_weights(step + Tile::kStages - 1);
    end_copy_group();

    const int kh = step % 3;
    const uint4* const halo = halos + step / 3 % Tile::kHalos * Tile::kHaloQuads;
    const uint4* const slab =
        slabs + step % Tile::kStages * Tile::kWeightQuads + first_pair * kWarpSize;
#pragma unroll
    for (int kw = 0; kw < 3; kw++) {
      unsigned voxels[Tile::kDepths + 2][4];
#pragma unroll
      for (int d = 0; d < Tile::kDepths + 2; d++) {
        const int voxel = voxel_of_lane + (d * Tile::kHaloHeight + kh) * Tile::kPitch + kw;
        load_matrices(voxels[d], halo + quad_of(voxel, lane / 16));
      }
#pragma unroll
      for (int kd = 0; kd < 3; kd++) {
        const int tap = (kd * 3 + kw) * (Tile::kColumns / kPair);
#pragma unroll
        for (int pair = 0; pair < Tile::kPairs; pair++) {
          const uint4 w = slab[(tap + pair) * kWarpSize + lane];
#pragma unroll
          for (int d = 0; d < Tile::kDepths; d++) {
            multiply_add(sums[d][pair][0], voxels[d + kd], w.x, w.y);
            multiply_add(sums[d][pair][1], voxels[d + kd], w.z, w.w);
          }
        }
      }
    }
  }

  if (gridDim.z > 1) {
    const long long number = static_cast<long long>(blockIdx.x) * gridDim.y + blockIdx.y;
    float* const of_tile = partials + number * gridDim.z * Tile::kValues + thread * 4;
    float* const own = of_tile + blockIdx.z * Tile::kValues;
#pragma unroll
    for (int i = 0; i < Tile::kFours; i++) {
      store_four(own + i * Tile::kThreads * 4,
                 sums[i / 2 / Tile::kPairs][i / 2 % Tile::kPairs][i % 2]);
    }
    if (!comes_last(tickets + number, gridDim.z)) return;
#pragma unroll
    for (int i = 0; i < Tile::kFours; i++) {
      float(&four)[4] = sums[i / 2 / Tile::kPairs][i / 2 % Tile::kPairs][i % 2];
      four[0] = four[1] = four[2] = four[3] = 0.0f;
    }
#pragma unroll Tile::kSplitsAtOnce
    for (int split = 0; split < static_cast<int>(gridDim.z); split++) {
#pragma unroll
      for (int i = 0; i < Tile::kFours; i++) {
        float(&four)[4] = sums[i / 2 / Tile::kPairs][i / 2 % Tile::kPairs][i % 2];
        const float4 more = load_four(of_tile + split * Tile::kValues + i * Tile::kThreads * 4);
        four[0] += more.x;
        four[1] += more.y;
        four[2] += more.z;
        four[3] += more.w;
      }
    }
  }

  // a row of the tile is a voxel: its place in y, or negative outside of the volume
  const auto voxel_of = [&](int row) {
    const int d = first_d + row / Tile::kWidth / Tile::kHeight;
    const int h = first_h + row / Tile::kWidth % Tile::kHeight;
    const int w = first_w + row % Tile::kWidth;
    return is_inside(d, h, w, extents) ? ((item + d) * extents.h + h) * extents.w + w : -1LL;
  };
  const auto row_of = [&](int d, int upper) {
    const int line = (depth_of_warp + d) * Tile::kHeight + line_of_warp;
    return line * Tile::kWidth + lane / 4 + upper * 8;
  };
  const auto column_of = [&](int pair) {
    return blockIdx.y * Tile::kColumns + (first_pair + pair) * kPair + lane % 4 * 4;
  };

  // all addends are on their way before the first is needed
  uint2 addends[Tile::kDepths][2][Tile::kPairs] = {};
  if (finish.addend != nullptr) {
#pragma unroll
    for (int d = 0; d < Tile::kDepths; d++) {
#pragma unroll
      for (int upper = 0; upper < 2; upper++) {
        const long long voxel = voxel_of(row_of(d, upper));
#pragma unroll
        for (int pair = 0; pair < Tile::kPairs; pair++) {
          const int column = column_of(pair);
          if (voxel < 0 || column >= out_channels) continue;
          addends[d][upper][pair] =
              *reinterpret_cast<const uint2*>(finish.addend + voxel * out_channels + column);
        }
      }
    }
  }

  // the rows of z for the tail, and behind them its weights
  const bool has_tail = tail.weight != nullptr;
  const bool has_all = has_tail && gridDim.y == 1;
  const int quads = (out_channels + kChunk - 1) / kChunk * 2;
  const int pitch = (has_all ? Tile::kColumns / 8 : quads) + 1;  // odd, so that rows meet all banks
  constexpr int kParts = Tile::kVoxels / kPart;
  uint4* const ring = shared + (has_all ? Tile::kVoxels : kPart) * pitch;
  if (has_tail) __syncthreads();  // everyone is done with what these overwrite
  TailWeights weights(tail, ring, out_channels, !has_tail ? 0 : has_all ? kParts : 1);

#pragma unroll
  for (int pair = 0; pair < Tile::kPairs; pair++) {
    const int column = column_of(pair);
    const float4 bias = biases_of(finish.bias, column, out_channels);
#pragma unroll
    for (int d = 0; d < Tile::kDepths; d++) {
#pragma unroll
      for (int upper = 0; upper < 2; upper++) {
        const float(&of)[2][4] = sums[d][pair];
        const float4 addend = to_four(addends[d][upper][pair]);
        const float four[4] = {finish.apply(of[0][upper * 2], bias.x, addend.x),
                               finish.apply(of[0][upper * 2 + 1], bias.y, addend.y),
                               finish.apply(of[1][upper * 2], bias.z, addend.z),
                               finish.apply(of[1][upper * 2 + 1], bias.w, addend.w)};
        const int row = row_of(d, upper);
        if (has_all) {
          store_four(reinterpret_cast<bfloat16*>(shared + row * pitch) + column, four);
        } else {
          const long long voxel = voxel_of(row);
          if (voxel >= 0 && column < out_channels) {
            store_four(y + voxel * out_channels + column, four);
          }
        }
      }
    }
  }
  if (!has_tail) return;
  unsigned* const ticket = tickets + static_cast<long long>(gridDim.x) * gridDim.y + blockIdx.x;
  if (!has_all && !comes_last(ticket, gridDim.y)) {
    wait_for_copies<0>();
    return;
  }
  const int rounds = has_all ? 1 : kParts;
#pragma unroll 1
  for (int round = 0; round < rounds; round++) {
    const int first_row = round * kPart;
    if (round > 0) {
      __syncthreads();  // everyone is done with the rows
      weights.begin();
    }
    if (!has_all) {
      for (int i = thread; i < kPart * quads; i += Tile::kThreads) {
        const long long voxel = voxel_of(first_row + i / quads);
        const int c = i % quads * 8;
        const bool is_there = voxel >= 0 && c < out_channels;
        copy_16_bytes(shared + i / quads * pitch + i % quads,
                      is_there ? y + voxel * out_channels + c : y, is_there);
      }
      end_copy_group();
      wait_for_copies<0>();
    }
    __syncthreads();
    multiply_tail(weights, tail, shared, pitch, y, out_channels,
                  [&](int row) { return voxel_of(first_row + row); });
  }
}

using Large = Tile<8, 8, 32, 4, 2, 2>;
using Small = Tile<4, 4, 32, 2, 1, 4>;  // a step takes less time than a copy
using Slim = Tile<4, 4, 16, 1, 1, 4>;

}  // namespace

#define TILED(size, Tile, blocks)                                                                \
  ENTRY_BLOCKS(tensor_convolution_##size##_bf16, 128, blocks, const bfloat16* x,                 \
               const uint4* weight, bfloat16* y, float* partials, unsigned* tickets,             \
               const float* bias, const bfloat16* addend, float slope, const uint4* tail_weight, \
               const float* tail_bias, const bfloat16* skip, int depth, int height, int width,   \
               int in_channels, int out_channels, int chunks_per_split) {                        \
    require_tensor_cores();                                                                      \
    forward_tiled<Tile>(x, weight, y, partials, tickets, {bias, addend, slope},                  \
                        {tail_weight, tail_bias, skip}, {depth, height, width}, in_channels,     \
                        out_channels, chunks_per_split);                                         \
  }

TILED(large, Large, 3)
TILED(small, Small, 3)
TILED(slim, Slim, 3)

// Weights (first, second, 27) to (columns / (16 pairs), rows / 16, 3 kh, 3 kd, 3 kw, pairs, 32
// lanes, 2, 2, 2), as bfloat16: of a lane, a pair of neighboring products, the registers b0 and b1
// of each, and the two rows in one register. Zeros where there are no rows or columns. The columns
// are the first axis of the weights and the rows the second, or the other way round. Flipped, the
// taps come in reverse.
ENTRY(tensor_convolution_pack, 256, const float* weight, bfloat16* packed, long long values,
      int rows, int columns, int pairs, int columns_are_first, int flipped) {
  const long long i = thread_in_grid();
  if (i >= values) return;
  const int in_lane = static_cast<int>(i % 8);
  const int lane = static_cast<int>(i / 8 % kWarpSize);
  const long long above = i / (8 * kWarpSize);
  const int pair = static_cast<int>(above % pairs);
  const int tap = static_cast<int>(above / pairs % kTaps);
  const int chunks = (rows + kChunk - 1) / kChunk;
  const long long chunk = above / pairs / kTaps % chunks;
  const long long group = above / pairs / kTaps / chunks;

  const long long row = chunk * kChunk + lane % 4 * 2 + in_lane / 2 % 2 * 8 + in_lane % 2;
  const int in_product = lane / 4;
  const long long column =
      (group * pairs + pair) * kPair + in_product / 2 * 4 + in_product % 2 + in_lane / 4 * 2;
  float value = 0.0f;
  if (row < rows && column < columns) {
    const int kh = tap / 9;
    const int published = (tap / 3 % 3 * 3 + kh) * 3 + tap % 3;
    const long long of_channels = columns_are_first ? column * rows + row : row * columns + column;
    value = weight[of_channels * kTaps + (flipped ? kTaps - 1 - published : published)];
  }
  packed[i] = from_float<bfloat16>(value);
}
