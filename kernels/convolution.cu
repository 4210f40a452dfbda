// Convolution of volumes with any kernel, stride and zero padding, and its gradients.
//
//   y[b, v, n] = bias[n] + sum_{t, c} x[b, v stride - padding + t, c] weight[n, c, t]
//   or, with an epilogue, leaky_relu(that + addend[b, v, n]);
//   instead of x, with a prologue, leaky_relu((x - mean[b, c]) scale[b, c]), which tiled has
//   dx[b, u, c] = sum_{t, n} dy[b, (u + padding - t) / stride, n] weight[n, c, t]
//   dweight[n, c, t] += sum_{b, v} dy[b, v, n] x[b, v stride - padding + t, c]
//   dbias[n] += sum_{b, v} dy[b, v, n]
//
// v, u and t have three components each; terms whose voxel does not exist or is no whole number are
// zero.
//
// Shapes   x, dx (B, D, H, W, C), y, dy (B, D', H', W', N) of T; weight (N, C, taps), bias (N) and
//          their gradients of float. Kernels read weights packed to (taps, rows, padded): a row for
//          each channel that is summed over, a column for each channel of the result, then zeros up
//          to a multiple of the tile's columns. One kernel serves y and dx: "x", "in" and "C" mean
//          what is read, "y", "out" and "N" what is written.
// Launch   forward_tiled   3x3x3, stride 1, padding 1 (dx: with the taps in reverse). A block has a
//                          tile of voxels x channels: large 4x8x8 x 16, small 4x4x4 x 32; chunk by
//                          chunk of 8 channels, the voxels with a halo of one and 27 x 8 rows of
//                          weights lie in shared memory. A thread has a run of 8 or 4 voxels along
//                          W x 4 channels, and slides over the run in registers.
//                          grid = (tiles of voxels, tiles of channels, splits), block = 128.
//          forward_gather  anything: the product (B D' H' W', taps C) (taps C, N), whose left side
//                          is gathered on load, 16 columns of it at a time. narrow: 128 voxels x 16
//                          channels, wide: 64 x 32; 4 x 4 sums a thread. backward_data_gather: the
//                          same where dx reads dy with a stride. grid = (tiles of voxels, tiles of
//                          channels, splits), block = 128.
//          Where there are fewer tiles than fill the device, blocks share a tile and divide its
//          terms: splits. The last of them to come adds up what all have left in partials, by
//          the order of the splits; tickets has a zero for each tile, before and after.
//          Moments, where they are asked for, go to (items, tiles, channels), are merged by the
//          last blocks of groups of tiles and of items, and become the coefficients of
//          group_norm.cu (statistics.cuh).
//          backward_weights_tiled   3x3x3, stride 1, padding 1. A block has 16 x 16 channels and
//                          all taps, and walks over its share of 4x4x8 tiles of voxels, x with a
//                          halo. A thread has 3 taps along W x 4 x 4 channels.
//                          grid = (splits, C / 16, N / 16), block = 144.
//          backward_weights_gather  anything: the product (taps C, B D' H' W') (B D' H' W', N),
//                          64 x 32 a block. grid = (splits, taps C / 64, N / 32), block = 128.
//                          Both leave the sums of each split to partial_sums.cu.
//          pack            a thread for each packed value.
// Traffic  forward_tiled reads x 2.3 (large) or 3.4 (small) times for each tile of channels, nearly
//          all but the first from L2; forward_gather each tap of a voxel once. Splits write and
//          read 4 bytes a value each.
// Numerics accumulates in float for every T, in blocks: of 27 x 8 terms (tiled) or 256 terms
//          (gather), whose sums are added up in turn. Gradients of weights: over the voxels of a
//          split in order (tiled) or in blocks of 256 (gather), then over splits in double.
//          Moments are of y as it is stored: of a thread's voxels in two passes, merged by Chan's
//          formula over threads, tiles and groups of tiles, in fixed order.
// Launcher org.unetrpp.backend.cuda.OwnConvolutions, PackedWeights
#include "convolution.cuh"
#include "statistics.cuh"

namespace {

constexpr int kChunk = 8;   // channels that a tiled kernel has in shared memory
constexpr int kTaps = 27;   // of 3x3x3
constexpr int kDepth = 16;  // terms that a gathering kernel has in shared memory
constexpr int kThreads = kStatisticsThreads;
constexpr int kFlushSteps = 16;
constexpr int kNowhere = -(1 << 29);  // a coordinate that is outside with any tap added

/// What a convolution reads and writes, and how one belongs to the other.
struct Geometry {
  Extents in, out, kernel, stride, padding;
};

// ---- y and dx of 3x3x3 ------------------------------------------------------------------------

template <typename T, int kTileDepth, int kTileHeight, int kTileWidth, int kColumns>
__device__ void forward_tiled(const T* __restrict__ x, const Prologue& prologue,
                              const float* __restrict__ weight, const Epilogue<T>& epilogue,
                              const Statistics& statistics, T* y, float* partials,
                              unsigned* tickets, int batch, Extents extents, int in_channels,
                              int out_channels, int padded, int chunks_per_split) {
  static_assert(kTileDepth * kTileHeight * kColumns / 4 == kThreads, "a thread for each run");
  constexpr int kHaloHeight = kTileHeight + 2;
  constexpr int kHaloWidth = kTileWidth + 2;
  constexpr int kHaloVoxels = (kTileDepth + 2) * kHaloHeight * kHaloWidth;
  constexpr int kPitch = (kHaloWidth + 3) / 4 * 4;  // of a line, for loads of four
  // of a channel; four more, so that the quarters of a chunk begin at different banks
  constexpr int kPlane = (kTileDepth + 2) * kHaloHeight * kPitch + 4;
  constexpr int kQuads = kColumns / 4;
  __shared__ float4 halo_quads[kChunk * kPlane / 4];
  __shared__ float4 weight_quads[kChunk * kTaps * kQuads];
  float* const halo = reinterpret_cast<float*>(halo_quads);

  const int tiles_w = (extents.w + kTileWidth - 1) / kTileWidth;
  const int tiles_h = (extents.h + kTileHeight - 1) / kTileHeight;
  const int tiles_d = (extents.d + kTileDepth - 1) / kTileDepth;
  const Digits tile = to_digits(blockIdx.x, {tiles_d, tiles_h, tiles_w});
  const int first_d = tile.second * kTileDepth;
  const int first_h = tile.third * kTileHeight;
  const int first_w = tile.fourth * kTileWidth;
  const int first_column = blockIdx.y * kColumns;
  const long long item = static_cast<long long>(tile.first) * extents.d;

  const int thread = threadIdx.x;
  const int quad = thread % kQuads;
  const int d = thread / kQuads / kTileHeight;
  const int h = thread / kQuads % kTileHeight;
  const bool quads_of_x = in_channels % 4 == 0 && is_aligned(x);

  // where an element of the halo is read from, or -1 outside of the volume
  const auto source = [&](int voxel) {
    const int at_d = first_d - 1 + voxel / (kHaloHeight * kHaloWidth);
    const int at_h = first_h - 1 + voxel / kHaloWidth % kHaloHeight;
    const int at_w = first_w - 1 + voxel % kHaloWidth;
    return is_inside(at_d, at_h, at_w, extents)
               ? (((item + at_d) * extents.h + at_h) * extents.w + at_w) * in_channels
               : -1LL;
  };
  const float2* const coefficients =
      prologue.coefficients == nullptr ? nullptr : prologue.coefficients + tile.first * in_channels;
  const auto place = [](int voxel) { return voxel / kHaloWidth * kPitch + voxel % kHaloWidth; };

  float totals[kTileWidth][4] = {};
  float sums[kTileWidth][4] = {};
  const int chunks = (in_channels + kChunk - 1) / kChunk;
  const int end = min(chunks, static_cast<int>(blockIdx.z + 1) * chunks_per_split);
  for (int chunk = blockIdx.z * chunks_per_split; chunk < end; chunk++) {
    const int first_channel = chunk * kChunk;
    const int channels = min(kChunk, in_channels - first_channel);
    if (quads_of_x) {
      const int quads = channels / 4;
      for (int i = thread; i < kHaloVoxels * quads; i += kThreads) {
        const int voxel = i / quads;
        const int c = i % quads * 4;
        const long long from = source(voxel);
        float4 four = make_float4(0.0f, 0.0f, 0.0f, 0.0f);
        if (from >= 0) {
          four = load_four(x + from + first_channel + c);
          if (coefficients != nullptr) {
            four = prologue.apply(four, coefficients + first_channel + c);
          }
        }
        float* const to = halo + c * kPlane + place(voxel);
        to[0] = four.x;
        to[kPlane] = four.y;
        to[2 * kPlane] = four.z;
        to[3 * kPlane] = four.w;
      }
    } else {
      for (int i = thread; i < kHaloVoxels * channels; i += kThreads) {
        const int voxel = i / channels;
        const int c = i % channels;
        const long long from = source(voxel);
        float value = 0.0f;
        if (from >= 0) {
          value = to_float(x[from + first_channel + c]);
          if (coefficients != nullptr) {
            value = prologue.apply(value, coefficients[first_channel + c]);
          }
        }
        halo[c * kPlane + place(voxel)] = value;
      }
    }
    for (int i = thread; i < kTaps * kChunk * kQuads; i += kThreads) {
      const int c = i / kQuads % kChunk;
      const int tap = i / kQuads / kChunk;
      if (c < channels) {
        const long long row = static_cast<long long>(tap) * in_channels + first_channel + c;
        weight_quads[(c * kTaps + tap) * kQuads + i % kQuads] =
            load_four(weight + row * padded + first_column + i % kQuads * 4);
      }
    }
    __syncthreads();

    for (int c = 0; c < channels; c++) {
#pragma unroll 1  // more lines at once take more registers than four blocks have
      for (int line = 0; line < 9; line++) {
        float values[kPitch];
#pragma unroll
        for (int i = 0; i < kPitch; i += 4) {
          const int at = ((d + line / 3) * kHaloHeight + h + line % 3) * kPitch + i;
          const float4 four = load_four(halo + c * kPlane + at);
          values[i] = four.x;
          values[i + 1] = four.y;
          values[i + 2] = four.z;
          values[i + 3] = four.w;
        }
#pragma unroll
        for (int kw = 0; kw < 3; kw++) {
          const float4 factors = weight_quads[(c * kTaps + line * 3 + kw) * kQuads + quad];
#pragma unroll
          for (int i = 0; i < kTileWidth; i++) {
            sums[i][0] += values[i + kw] * factors.x;
            sums[i][1] += values[i + kw] * factors.y;
            sums[i][2] += values[i + kw] * factors.z;
            sums[i][3] += values[i + kw] * factors.w;
          }
        }
      }
    }
    flush(sums, totals);
    __syncthreads();
  }

  const int at_d = first_d + d;
  const int at_h = first_h + h;
  const int column = first_column + quad * 4;
  const int count = out_channels - column;
  const int width =
      at_d < extents.d && at_h < extents.h && count > 0 ? min(extents.w - first_w, kTileWidth) : 0;
  const long long line = ((item + at_d) * extents.h + at_h) * extents.w;
  const long long to = (line + first_w) * out_channels + column;
  const bool in_fours = out_channels % 4 == 0;
  if (partials != nullptr) {
    const long long voxels = static_cast<long long>(batch) * extents.d * extents.h * extents.w;
    float* const own = partials + blockIdx.z * voxels * out_channels + to;
#pragma unroll
    for (int i = 0; i < kTileWidth; i++) {
      if (i < width) store_up_to_four(own + i * out_channels, totals[i], count, in_fours);
    }
    if (!comes_last(tickets + blockIdx.y * gridDim.x + blockIdx.x, gridDim.z)) return;
    clear(totals);
    for (unsigned split = 0; split < gridDim.z; split++) {
      const float* const other = partials + split * voxels * out_channels + to;
#pragma unroll
      for (int i = 0; i < kTileWidth; i++) {
        if (i < width) add_up_to_four(other + i * out_channels, count, in_fours, totals[i]);
      }
    }
  }
  const bool at_once = in_fours && is_aligned(y);
#pragma unroll
  for (int i = 0; i < kTileWidth; i++) {
    if (i < width) epilogue.store(y, to + i * out_channels, column, totals[i], count, at_once);
  }
  if (statistics.moments != nullptr) {
    take_moments<T, kColumns>(totals, width, first_column, out_channels, statistics);
  }
}

// ---- y and dx of any convolution --------------------------------------------------------------

/// The value that a tap reads for a voxel of the result. With kBackward the result is dx, and x is
/// dy: origin is then the voxel itself with the padding added, start where its item begins.
template <bool kBackward, typename T>
__device__ __forceinline__ float gathered(const T* __restrict__ x, int4 origin, long long start,
                                          Digits tap, long long tap_start, const Geometry& g,
                                          int channels) {
  if (!kBackward) {
    return is_inside(origin.x + tap.first, origin.y + tap.second, origin.z + tap.third, g.in)
               ? to_float(x[start + tap_start])
               : 0.0f;
  }
  const int d = origin.x - tap.first;
  const int h = origin.y - tap.second;
  const int w = origin.z - tap.third;
  if (d < 0 || h < 0 || w < 0 || d % g.stride.d != 0 || h % g.stride.h != 0 ||
      w % g.stride.w != 0 || !is_inside(d / g.stride.d, h / g.stride.h, w / g.stride.w, g.in)) {
    return 0.0f;
  }
  const long long line = static_cast<long long>(d / g.stride.d) * g.in.h + h / g.stride.h;
  return to_float(x[start + (line * g.in.w + w / g.stride.w) * channels + tap.fourth]);
}

/// Offset of what a tap reads from what the first tap reads.
__device__ __forceinline__ long long offset_of(Digits tap, Extents in, int channels) {
  const long long line = static_cast<long long>(tap.first) * in.h + tap.second;
  return (line * in.w + tap.third) * channels + tap.fourth;
}

/// Where the first tap of a voxel of y reads; start is the offset of that, which may lie outside.
__device__ __forceinline__ int4 origin_of(Digits voxel, const Geometry& g, int channels,
                                          long long* start) {
  const int d = voxel.second * g.stride.d - g.padding.d;
  const int h = voxel.third * g.stride.h - g.padding.h;
  const int w = voxel.fourth * g.stride.w - g.padding.w;
  const long long slice = static_cast<long long>(voxel.first) * g.in.d + d;
  *start = ((slice * g.in.h + h) * g.in.w + w) * channels;
  return make_int4(d, h, w, 0);
}

template <typename T, int kRows, int kColumns, bool kBackward>
__device__ void forward_gather(const T* __restrict__ x, const float* __restrict__ weight,
                               const Epilogue<T>& epilogue, const Statistics& statistics, T* y,
                               float* partials, unsigned* tickets, long long rows, const Geometry g,
                               int in_channels, int out_channels, int padded, int steps_per_split) {
  static_assert(kRows * kColumns / 16 == kThreads, "a thread for 4 x 4 sums");
  constexpr int kPitch = kRows + 4;
  __shared__ float4 left_quads[kDepth * kPitch / 4];
  __shared__ float4 right_quads[kDepth * kColumns / 4];
  __shared__ long long starts[kRows];
  __shared__ int4 origins[kRows];
  float* const left = reinterpret_cast<float*>(left_quads);
  float* const right = reinterpret_cast<float*>(right_quads);

  const int thread = threadIdx.x;
  const int my_row = thread / (kColumns / 4) * 4;
  const int my_column = thread % (kColumns / 4) * 4;
  const long long first_row = static_cast<long long>(blockIdx.x) * kRows;
  const int first_column = blockIdx.y * kColumns;

  for (int i = thread; i < kRows; i += kThreads) {
    starts[i] = 0;
    origins[i] = make_int4(kNowhere, kNowhere, kNowhere, 0);
    if (first_row + i < rows) {
      const Digits voxel = to_digits(first_row + i, {g.out.d, g.out.h, g.out.w});
      if (kBackward) {
        starts[i] = static_cast<long long>(voxel.first) * g.in.d * g.in.h * g.in.w * in_channels;
        origins[i] = make_int4(voxel.second + g.padding.d, voxel.third + g.padding.h,
                               voxel.fourth + g.padding.w, 0);
      } else {
        origins[i] = origin_of(voxel, g, in_channels, &starts[i]);
      }
    }
  }

  const int terms = g.kernel.d * g.kernel.h * g.kernel.w * in_channels;
  const int first_term = blockIdx.z * steps_per_split * kDepth;
  const int end = min(terms, first_term + steps_per_split * kDepth);
  const int k = thread % kDepth;
  const Radices radices = {g.kernel.h, g.kernel.w, in_channels};
  const Digits step = to_digits(kDepth, radices);
  Digits tap = to_digits(first_term + k, radices);

  float totals[4][4] = {};
  float sums[4][4] = {};
  int steps = 0;
  __syncthreads();
  for (int first = first_term; first < end; first += kDepth) {
    const int count = min(kDepth, end - first);
    const long long tap_start = kBackward ? 0 : offset_of(tap, g.in, in_channels);
    for (int row = thread / kDepth; row < kRows; row += kThreads / kDepth) {
      left[k * kPitch + row] = k < count ? gathered<kBackward>(x, origins[row], starts[row], tap,
                                                               tap_start, g, in_channels)
                                         : 0.0f;
    }
    tap = add(tap, step, radices);
    for (int i = thread; i < kDepth * kColumns / 4; i += kThreads) {
      const int row = i / (kColumns / 4);
      if (row < count) {
        right_quads[i] = load_four(weight + static_cast<long long>(first + row) * padded +
                                   first_column + i % (kColumns / 4) * 4);
      }
    }
    __syncthreads();
    multiply_tiles(left + my_row, kPitch, right + my_column, kColumns, count, sums);
    if (++steps % kFlushSteps == 0) flush(sums, totals);
    __syncthreads();
  }
  flush(sums, totals);

  const int column = first_column + my_column;
  const int count = out_channels - column;
  const long long height = count > 0 ? rows - first_row - my_row : 0;  // of this thread's rows
  const long long to = (first_row + my_row) * out_channels + column;
  const bool in_fours = out_channels % 4 == 0;
  if (partials != nullptr) {
    float* const own = partials + blockIdx.z * rows * out_channels + to;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (i < height) store_up_to_four(own + i * out_channels, totals[i], count, in_fours);
    }
    if (!comes_last(tickets + blockIdx.y * gridDim.x + blockIdx.x, gridDim.z)) return;
    clear(totals);
    for (unsigned split = 0; split < gridDim.z; split++) {
      const float* const other = partials + split * rows * out_channels + to;
#pragma unroll
      for (int i = 0; i < 4; i++) {
        if (i < height) add_up_to_four(other + i * out_channels, count, in_fours, totals[i]);
      }
    }
  }
  const bool at_once = in_fours && is_aligned(y);
#pragma unroll
  for (int i = 0; i < 4; i++) {
    if (i < height) epilogue.store(y, to + i * out_channels, column, totals[i], count, at_once);
  }
  if (statistics.moments != nullptr) {
    take_moments<T, kColumns>(totals, static_cast<int>(min(height, 4ll)), first_column,
                              out_channels, statistics);
  }
}

// ---- gradients of the weights -----------------------------------------------------------------

constexpr int kWeightTileD = 4;
constexpr int kWeightTileH = 4;
constexpr int kWeightTileW = 8;
constexpr int kWeightChannels = 16;  // of x and of dy
constexpr int kWeightThreads = 9 * kWeightChannels * kWeightChannels / 16;

/// Sixteen channels of a voxel, zeros where there are none.
template <typename T>
__device__ __forceinline__ void stage_quad(float4* to, const T* from, int count, bool at_once) {
  if (at_once && count >= 4) {
    *to = load_four(from);
  } else {
    *to = make_float4(count > 0 ? to_float(from[0]) : 0.0f, count > 1 ? to_float(from[1]) : 0.0f,
                      count > 2 ? to_float(from[2]) : 0.0f, count > 3 ? to_float(from[3]) : 0.0f);
  }
}

__device__ __forceinline__ void add_products(float4 x, float4 dy, float (&sums)[4][4]) {
  const float rows[4] = {x.x, x.y, x.z, x.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    sums[i][0] += rows[i] * dy.x;
    sums[i][1] += rows[i] * dy.y;
    sums[i][2] += rows[i] * dy.z;
    sums[i][3] += rows[i] * dy.w;
  }
}

template <typename T>
__device__ void backward_weights_tiled(const T* __restrict__ x, const T* __restrict__ dy,
                                       float* partials, long long partial_stride, int batch,
                                       Extents extents, int in_channels, int out_channels,
                                       int tiles_per_split, int with_bias) {
  constexpr int kQuads = kWeightChannels / 4;
  constexpr int kHaloH = kWeightTileH + 2;
  constexpr int kHaloW = kWeightTileW + 2;
  constexpr int kHaloVoxels = (kWeightTileD + 2) * kHaloH * kHaloW;
  constexpr int kVoxels = kWeightTileD * kWeightTileH * kWeightTileW;
  __shared__ float4 halo[kHaloVoxels * kQuads];
  __shared__ float4 outputs[kVoxels * kQuads];

  const int thread = threadIdx.x;
  const int out_quad = thread % kQuads;
  const int in_quad = thread / kQuads % kQuads;
  const int kh = thread / (kQuads * kQuads) % 3;
  const int kd = thread / (kQuads * kQuads) / 3;
  const int first_in = blockIdx.y * kWeightChannels;
  const int first_out = blockIdx.z * kWeightChannels;
  const bool has_sums =
      first_in + in_quad * 4 < in_channels && first_out + out_quad * 4 < out_channels;
  const bool has_bias = with_bias && blockIdx.y == 0 && thread < kWeightChannels;
  const bool x_at_once = in_channels % 4 == 0 && is_aligned(x);
  const bool dy_at_once = out_channels % 4 == 0 && is_aligned(dy);

  const Radices tiles = {(extents.d + kWeightTileD - 1) / kWeightTileD,
                         (extents.h + kWeightTileH - 1) / kWeightTileH,
                         (extents.w + kWeightTileW - 1) / kWeightTileW};
  const long long tile_count =
      static_cast<long long>(batch) * tiles.second * tiles.third * tiles.fourth;
  const long long first_tile = static_cast<long long>(blockIdx.x) * tiles_per_split;
  const long long end_tile = min(tile_count, first_tile + tiles_per_split);

  float sums[3][4][4] = {};
  float bias_sum = 0.0f;
  for (long long number = first_tile; number < end_tile; number++) {
    const Digits tile = to_digits(number, tiles);
    const int first_d = tile.second * kWeightTileD;
    const int first_h = tile.third * kWeightTileH;
    const int first_w = tile.fourth * kWeightTileW;
    const long long item = static_cast<long long>(tile.first) * extents.d;

    for (int i = thread; i < kHaloVoxels * kQuads; i += kWeightThreads) {
      const int voxel = i / kQuads;
      const int d = first_d - 1 + voxel / (kHaloH * kHaloW);
      const int h = first_h - 1 + voxel / kHaloW % kHaloH;
      const int w = first_w - 1 + voxel % kHaloW;
      const int c = first_in + i % kQuads * 4;
      const long long from = (((item + d) * extents.h + h) * extents.w + w) * in_channels + c;
      stage_quad(&halo[i], x + from, is_inside(d, h, w, extents) ? in_channels - c : 0, x_at_once);
    }
    for (int i = thread; i < kVoxels * kQuads; i += kWeightThreads) {
      const int voxel = i / kQuads;
      const int d = first_d + voxel / (kWeightTileH * kWeightTileW);
      const int h = first_h + voxel / kWeightTileW % kWeightTileH;
      const int w = first_w + voxel % kWeightTileW;
      const int n = first_out + i % kQuads * 4;
      const long long from = (((item + d) * extents.h + h) * extents.w + w) * out_channels + n;
      stage_quad(&outputs[i], dy + from, is_inside(d, h, w, extents) ? out_channels - n : 0,
                 dy_at_once);
    }
    __syncthreads();

    const int depth = min(kWeightTileD, extents.d - first_d);
    const int height = min(kWeightTileH, extents.h - first_h);
    if (has_sums) {
      for (int d = 0; d < depth; d++) {
        for (int h = 0; h < height; h++) {
          const float4* const line =
              halo + ((d + kd) * kHaloH + h + kh) * kHaloW * kQuads + in_quad;
          const float4* const gradients =
              outputs + (d * kWeightTileH + h) * kWeightTileW * kQuads + out_quad;
          float4 left = line[0];
          float4 middle = line[kQuads];
#pragma unroll
          for (int w = 0; w < kWeightTileW; w++) {
            const float4 right = line[(w + 2) * kQuads];
            const float4 gradient = gradients[w * kQuads];
            add_products(left, gradient, sums[0]);
            add_products(middle, gradient, sums[1]);
            add_products(right, gradient, sums[2]);
            left = middle;
            middle = right;
          }
        }
      }
    }
    if (has_bias) {
      const float* const column = reinterpret_cast<const float*>(outputs) + thread;
      float sum = 0.0f;
      for (int voxel = 0; voxel < kVoxels; voxel++) sum += column[voxel * kWeightChannels];
      bias_sum += sum;
    }
    __syncthreads();
  }

  partials += blockIdx.x * partial_stride;
  if (has_sums) {
    const int n = first_out + out_quad * 4;
#pragma unroll
    for (int kw = 0; kw < 3; kw++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int c = first_in + in_quad * 4 + i;
        if (c >= in_channels) break;
        const long long row = static_cast<long long>((kd * 3 + kh) * 3 + kw) * in_channels + c;
        store_up_to_four(partials + row * out_channels + n, sums[kw][i], out_channels - n, false);
      }
    }
  }
  if (has_bias && first_out + thread < out_channels) {
    partials[static_cast<long long>(kTaps) * in_channels * out_channels + first_out + thread] =
        bias_sum;
  }
}

template <typename T>
__device__ void backward_weights_gather(const T* __restrict__ x, const T* __restrict__ dy,
                                        float* partials, long long partial_stride, long long voxels,
                                        const Geometry g, int in_channels, int out_channels,
                                        long long voxels_per_split, int with_bias) {
  constexpr int kRows = 64;
  constexpr int kColumns = 32;
  constexpr int kPitch = kRows + 4;
  __shared__ float4 left_quads[kDepth * kPitch / 4];
  __shared__ float4 right_quads[kDepth * kColumns / 4];
  __shared__ long long starts[kDepth];
  __shared__ int4 origins[kDepth];
  float* const left = reinterpret_cast<float*>(left_quads);
  float* const right = reinterpret_cast<float*>(right_quads);

  const int thread = threadIdx.x;
  const int my_row = thread / (kColumns / 4) * 4;
  const int my_column = thread % (kColumns / 4) * 4;
  const int first_row = blockIdx.y * kRows;
  const int first_column = blockIdx.z * kColumns;
  const int rows = g.kernel.d * g.kernel.h * g.kernel.w * in_channels;
  const bool has_sums = first_row + my_row < rows && first_column + my_column < out_channels;
  const bool has_bias = with_bias && blockIdx.y == 0 && thread < kColumns;

  const int staged_row = thread % kRows;
  const bool row_is_there = first_row + staged_row < rows;
  const Digits tap = to_digits(first_row + staged_row, {g.kernel.h, g.kernel.w, in_channels});
  const long long tap_start = offset_of(tap, g.in, in_channels);

  const long long first_voxel = blockIdx.x * voxels_per_split;
  const long long end = min(voxels, first_voxel + voxels_per_split);
  const Radices radices = {g.out.d, g.out.h, g.out.w};
  const Digits step = to_digits(kDepth, radices);
  Digits voxel = to_digits(first_voxel + thread % kDepth, radices);

  float totals[4][4] = {};
  float sums[4][4] = {};
  float bias_total = 0.0f;
  int steps = 0;
  for (long long first = first_voxel; first < end; first += kDepth) {
    const int count = static_cast<int>(min(static_cast<long long>(kDepth), end - first));
    if (thread < kDepth) {  // whoever reads the last ones has passed the barrier before the product
      origins[thread] = origin_of(voxel, g, in_channels, &starts[thread]);
      voxel = add(voxel, step, radices);
    }
    __syncthreads();
    for (int k = thread / kRows; k < kDepth; k += kThreads / kRows) {
      left[k * kPitch + staged_row] =
          row_is_there && k < count
              ? gathered<false>(x, origins[k], starts[k], tap, tap_start, g, in_channels)
              : 0.0f;
    }
    for (int i = thread; i < kDepth * kColumns; i += kThreads) {
      const int k = i / kColumns;
      const int n = first_column + i % kColumns;
      right[i] =
          k < count && n < out_channels ? to_float(dy[(first + k) * out_channels + n]) : 0.0f;
    }
    __syncthreads();
    if (has_sums) {
      multiply_tiles(left + my_row, kPitch, right + my_column, kColumns, count, sums);
      if (++steps % kFlushSteps == 0) flush(sums, totals);
    }
    if (has_bias) {
      float sum = 0.0f;
      for (int k = 0; k < kDepth; k++) sum += right[k * kColumns + thread];
      bias_total += sum;
    }
    __syncthreads();
  }
  flush(sums, totals);

  partials += blockIdx.x * partial_stride;
  const int column = first_column + my_column;
#pragma unroll
  for (int i = 0; i < 4; i++) {
    const int row = first_row + my_row + i;
    if (row >= rows) break;
    store_up_to_four(partials + static_cast<long long>(row) * out_channels + column, totals[i],
                     out_channels - column, false);
  }
  if (has_bias && first_column + thread < out_channels) {
    partials[static_cast<long long>(rows) * out_channels + first_column + thread] = bias_total;
  }
}

}  // namespace

#define FORWARD_TILED(size, tile_depth, tile_height, tile_width, columns, suffix, T)             \
  ENTRY_BLOCKS(convolution_forward_tiled_##size##_##suffix, 128, 4, const T* x,                  \
               const float2* input_coefficients, float input_slope, const float* weight,         \
               const float* bias, const T* addend, float slope, T* y, float* partials,           \
               unsigned* tickets, STATISTICS_PARAMETERS, int batch, int depth, int height,       \
               int width, int in_channels, int out_channels, int padded, int chunks_per_split) { \
    forward_tiled<T, tile_depth, tile_height, tile_width, columns>(                              \
        x, {input_coefficients, input_slope}, weight, {bias, addend, slope}, STATISTICS, y,      \
        partials, tickets, batch, {depth, height, width}, in_channels, out_channels, padded,     \
        chunks_per_split);                                                                       \
  }

#define GEOMETRY_PARAMETERS                                                                       \
  int in_depth, int in_height, int in_width, int out_depth, int out_height, int out_width,        \
      int kernel_depth, int kernel_height, int kernel_width, int stride_depth, int stride_height, \
      int stride_width, int padding_depth, int padding_height, int padding_width

#define GEOMETRY                                                                                  \
  {                                                                                               \
    {in_depth, in_height, in_width}, {out_depth, out_height, out_width},                          \
        {kernel_depth, kernel_height, kernel_width}, {stride_depth, stride_height, stride_width}, \
    {                                                                                             \
      padding_depth, padding_height, padding_width                                                \
    }                                                                                             \
  }

#define FORWARD_GATHER(name, rows_per_tile, columns, backward, suffix, T)                     \
  ENTRY_BLOCKS(convolution_##name##_##suffix, 128, 5, const T* x, const float* weight,        \
               const float* bias, const T* addend, float slope, T* y, float* partials,        \
               unsigned* tickets, STATISTICS_PARAMETERS, long long rows, GEOMETRY_PARAMETERS, \
               int in_channels, int out_channels, int padded, int steps_per_split) {          \
    const Geometry geometry = GEOMETRY;                                                       \
    forward_gather<T, rows_per_tile, columns, backward>(                                      \
        x, weight, {bias, addend, slope}, STATISTICS, y, partials, tickets, rows, geometry,   \
        in_channels, out_channels, padded, steps_per_split);                                  \
  }

#define CONVOLUTION(suffix, T)                                                                     \
  FORWARD_TILED(large, 4, 8, 8, 16, suffix, T)                                                     \
  FORWARD_TILED(small, 4, 4, 4, 32, suffix, T)                                                     \
  FORWARD_GATHER(forward_gather_narrow, 128, 16, false, suffix, T)                                 \
  FORWARD_GATHER(forward_gather_wide, 64, 32, false, suffix, T)                                    \
  FORWARD_GATHER(backward_data_gather, 64, 32, true, suffix, T)                                    \
  ENTRY_BLOCKS(convolution_backward_weights_tiled_##suffix, 144, 3, const T* x, const T* dy,       \
               float* partials, long long partial_stride, int batch, int depth, int height,        \
               int width, int in_channels, int out_channels, int tiles_per_split, int with_bias) { \
    backward_weights_tiled<T>(x, dy, partials, partial_stride, batch, {depth, height, width},      \
                              in_channels, out_channels, tiles_per_split, with_bias);              \
  }                                                                                                \
  ENTRY_BLOCKS(convolution_backward_weights_gather_##suffix, 128, 4, const T* x, const T* dy,      \
               float* partials, long long partial_stride, long long voxels, GEOMETRY_PARAMETERS,   \
               int in_channels, int out_channels, long long voxels_per_split, int with_bias) {     \
    const Geometry geometry = GEOMETRY;                                                            \
    backward_weights_gather<T>(x, dy, partials, partial_stride, voxels, geometry, in_channels,     \
                               out_channels, voxels_per_split, with_bias);                         \
  }

CONVOLUTION(f32, float)
CONVOLUTION(bf16, bfloat16)

// Weights (first, second, taps) to (taps / run, rows, padded): a row holds, for each of run
// neighboring taps, all columns, then zeros. The columns are the first axis of the weights and the
// rows the second, or the other way round. Flipped, the taps come in reverse.
ENTRY(convolution_pack, 256, const float* weight, float* packed, int rows, int columns, int taps,
      int run, int padded, int columns_are_first, int flipped) {
  const long long i = thread_in_grid();
  const long long row = i / padded % rows;
  const int plane = static_cast<int>(i / padded / rows);
  const int in_row = static_cast<int>(i % padded);
  if (plane >= taps / run) return;
  float value = 0.0f;
  if (in_row < run * columns) {
    const int tap = plane * run + in_row / columns;
    const long long column = in_row % columns;
    const long long pair = columns_are_first ? column * rows + row : row * columns + column;
    value = weight[pair * taps + (flipped ? taps - 1 - tap : tap)];
  }
  packed[i] = value;
}
