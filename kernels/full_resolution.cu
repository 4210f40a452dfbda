// The path of 16 channels at full resolution (Shaker et al. 2024, figure 2), in bfloat16: what
// surrounds its four convolutions by 3x3x3 and its head is part of their kernels.
//
//   a = conv1(x)   r = conv3(x), by 1x1x1      of encoder1
//   c = conv2(f(IN(a)))
//   u = f(IN(c) + IN(r)) + up(features)        of decoder2: up is a transposed convolution
//   e = conv1(u)
//   g = conv2(f(IN(e)))                        by narrow_convolution.cu
//   y = head(f(IN(g) + u))
//
// IN normalizes each channel of each item over its voxels, f(s) = s where s > 0, else slope s. Of
// each convolution only the coefficients of IN are made besides it, those of a and r without
// storing them: a is computed again where it is read, r = w x is a product for each channel of x.
// u is stored where it is first read: head then reads u where it would read c, and computes nothing
// again; what decode writes more is hidden behind its products.
//
// Shapes   x (B, D, H, W, C) with C = 1, where W is even, or 4; a, r, c, u, e, g (B, D, H, W, 16);
//          features (B, D / k, H / 4, W / 4, 32), all of bfloat16, aligned to 16 bytes; y (B, K, D,
//          H, W) of bfloat16 or float, K <= 16, or labels (B, D, H, W) of unsigned char;
//          coefficients (B, channels) of (mean, scale): of a and then r, of c, of g. Weights are
//          packed as tensor_convolution.cu packs them, those of conv1 and conv3 of encoder1 and
//          of up by pack below.
// Launch   measure  makes the coefficients of a and r. A block has a column of 12 x 32 voxels, as
//                   in narrow_convolution.cuh, and walks along D with three planes of x.
//          encode   c: the source of the walk computes planes of a from three of x, normalized.
//          decode   u and e: the source computes planes of u from those of c, x and the features.
//                   A warp has the voxels that share two of the 16 places in a patch of 4 x 4.
//                   All three: grid = parts of D x tiles of voxels, block = 256; measure 24 or 38
//                   KB of static, encode 48.6 KB (C = 1) or 62.5 KB (C = 4), decode 75.0 or 85.4 KB
//                   of dynamic shared memory.
//          head     a thread for each voxel. grid = (tiles of 256 voxels, B), block = 256.
//          window   a thread for each voxel of one of the windows that the items are, as
//                   window.cu's accumulate: the sums get importance times the mean of the items'
//                   softmax, each mirrored back. grid = tiles of 256 voxels.
//          pack     a thread for each packed value.
// Traffic  measure and encode read x, decode x, c and the features, with halos about 1.3 times,
//          mostly from L2, head and window g and u once; encode writes c, decode u and e, head y.
//          window reads and writes 8 bytes for each class of a voxel.
// Numerics weights of convolutions rounded to bfloat16, sums in float on tensor cores; a, c, u, e,
//          g and normalized values are rounded to bfloat16 where the passes would that are
//          replaced, r and the sum of u are not before u is. head computes in float.
// Launcher org.unetrpp.backend.cuda.FullResolutionKernels
#include "narrow_convolution.cuh"
#include "window.cuh"

namespace {

constexpr int kWidth = kChunk;  // channels at full resolution

// ---- planes of x ------------------------------------------------------------------------------

constexpr int kImageHeight = kPlaneHeight + 4;  // with a halo of two
constexpr int kImageWidth = kPlaneWidth + 4;
constexpr int kPlaneTaps = 9;

/// A plane of x of kChannels channels in shared memory, and its products with weights. These have,
/// for each kd, steps of 16 terms: taps with kh the fastest, of each the channels, then zeros; and
/// a step more, the shortcut by the tap in the middle.
template <int kChannels>
struct Image {
  static constexpr int kValues = kImageHeight * kImageWidth * kChannels;  // of a plane
  static constexpr int kSteps = (kPlaneTaps * kChannels + kChunk - 1) / kChunk;
  static constexpr int kMiddleStep = kPlaneTaps / 2 * kChannels / kChunk;
  static constexpr int kCopiedVoxels = kChannels == 1 ? 2 : 1;
  static constexpr int kCopiedBytes = kCopiedVoxels * kChannels * sizeof(bfloat16);
  static constexpr int kTurns = 4;  // three that are read and one that is copied
  static_assert(kChannels == 1 || kChannels == 4);

  /// Begins to copy plane d, or zeros where there is none.
  __device__ __forceinline__ static void copy(const bfloat16* x, const Column& column, int d,
                                              bfloat16* plane) {
    constexpr int kOfLine = kImageWidth / kCopiedVoxels;
#pragma unroll 1
    for (int i = threadIdx.x; i < kImageHeight * kOfLine; i += kNarrowThreads) {
      const int line = i / kOfLine;
      const int at_w = i % kOfLine * kCopiedVoxels;
      const int h = column.first_h - 2 + line;
      const int w = column.first_w - 2 + at_w;
      const bool is_there = is_inside(d, h, w, column.extents);
      copy_few_bytes<kCopiedBytes>(plane + (line * kImageWidth + at_w) * kChannels,
                                   is_there ? x + column.voxel(d, h, w) * kChannels : x, is_there);
    }
  }

  /// Terms of a step: of the voxels group and group + 8, whose first taps are at the given places.
  __device__ __forceinline__ static void gather(const bfloat16* plane, int first, int second,
                                                int step, unsigned (&terms)[4]) {
    const int quarter = threadIdx.x % 4;
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int place = i % 2 == 0 ? first : second;
      const int term = step * kChunk + i / 2 * 8 + quarter * 2;
      if (kChannels == 1) {
        terms[i] = value(plane, place, term) | value(plane, place, term + 1) << 16;
      } else {
        const int tap = term / kChannels;
        terms[i] = tap < kPlaneTaps
                       ? *reinterpret_cast<const unsigned*>(
                             plane + (place + offset(tap)) * kChannels + term % kChannels)
                       : 0;
      }
    }
  }

  /// Sums of conv1 for plane d of x, of which kTurns planes take turns from image on; and of the
  /// shortcut, if that is wanted.
  template <bool kShortcut>
  __device__ __forceinline__ static void convolve(const bfloat16* image, int d, int first,
                                                  int second, const uint4* weight,
                                                  float (&sums)[2][4], float (&shortcut)[2][4]) {
    const int lane = threadIdx.x % kWarpSize;
#pragma unroll 1
    for (int kd = 0; kd < 3; kd++) {
      const bfloat16* const plane = image + slot(d - 1 + kd) * kValues;
#pragma unroll
      for (int step = 0; step < kSteps; step++) {
        unsigned terms[4];
        gather(plane, first, second, step, terms);
        const uint4 w = weight[(kd * kSteps + step) * kWarpSize + lane];
        multiply_add(sums[0], terms, w.x, w.y);
        multiply_add(sums[1], terms, w.z, w.w);
        if (kShortcut && kd == 1 && step == kMiddleStep) {
          const uint4 more = weight[3 * kSteps * kWarpSize + lane];
          multiply_add(shortcut[0], terms, more.x, more.y);
          multiply_add(shortcut[1], terms, more.z, more.w);
        }
      }
    }
  }

  /// Which of the planes that take turns is plane d, from -2 on.
  __device__ __forceinline__ static int slot(int d) { return (d + kTurns) % kTurns; }

 private:
  __device__ __forceinline__ static int offset(int tap) { return tap % 3 * kImageWidth + tap / 3; }

  __device__ __forceinline__ static unsigned value(const bfloat16* plane, int place, int tap) {
    return tap < kPlaneTaps ? plane[place + offset(tap)].bits : 0u;
  }
};

template <int kChannels>
__device__ __forceinline__ void measure(const bfloat16* __restrict__ x, const uint4* weight,
                                        const Column& column, const Statistics& statistics) {
  using X = Image<kChannels>;
  __shared__ uint4 image_quads[X::kTurns * X::kValues / 8];
  __shared__ LaneMoments of_first, of_shortcut;
  __shared__ Moments scratch[kNarrowThreads];
  bfloat16* const image = reinterpret_cast<bfloat16*>(image_quads);
  const auto copy = [&](int d) { X::copy(x, column, d, image + X::slot(d) * X::kValues); };

  copy(column.first_d - 1);
  copy(column.first_d);
  for (int z = 0; z < column.depth; z++) {
    const int d = column.first_d + z;
    __syncthreads();  // everyone is done with plane d - 2
    copy(d + 1);
    end_copy_group();
    wait_for_copies<0>();
    __syncthreads();
    LineSums first = {}, shortcut = {};
#pragma unroll
    for (int line = 0; line < kLinesOfWarp; line++) {
      const int place = (narrow_line() + line + 1) * kImageWidth + narrow_voxel() + 1;
      X::template convolve<true>(image, d, place, place + 8, weight, first[line], shortcut[line]);
#pragma unroll
      for (int upper = 0; upper < 2; upper++) {
        round_pair(first[line][0], upper);
        round_pair(first[line][1], upper);
      }
    }
    add_moments(column, z, first, of_first);
    add_moments(column, z, shortcut, of_shortcut);
  }
  merge_lanes<2 * kWidth>(column, of_first, scratch);
  merge_lanes<2 * kWidth>(column, of_shortcut, scratch + kWidth);
  __syncthreads();
  leave_moments<kNarrowThreads, 2 * kWidth>(scratch, 0, 2 * kWidth, statistics);
}

// ---- sources of the walks ---------------------------------------------------------------------

/// Where four channels of a voxel of a plane lie, of a lane's channels.
__device__ __forceinline__ uint2* four_of(uint4* plane, int line, int at_w) {
  const int quarter = threadIdx.x % 4;
  uint4* const eight = plane + quad_of(line * kPlanePitch + at_w, quarter / 2);
  return reinterpret_cast<uint2*>(eight) + quarter % 2;
}

/// conv1 of the image, normalized and activated.
template <int kChannels>
struct FirstConvolution {
  static constexpr int kPlanes = 2;
  using X = Image<kChannels>;
  const bfloat16* x;
  const Column& column;
  const uint4* weight;
  Prologue prologue;  // with the coefficients of the shortcut behind those of each item
  bfloat16* image;    // planes of x that take turns

  /// Before the walk.
  __device__ __forceinline__ void start() const {
    copy(column.first_d - 2);
    copy(column.first_d - 1);
  }

  __device__ __forceinline__ void begin(int d, uint4*) const { copy(d + 1); }

  __device__ __forceinline__ void complete(int d, uint4* plane) const {
    const int warp = threadIdx.x / kWarpSize;
    const int group = threadIdx.x % kWarpSize / 4;
#pragma unroll 1
    for (int tile = warp; tile * 16 < kHaloVoxels; tile += kNarrowWarps) {
      const int first = min(tile * 16 + group, kHaloVoxels - 1);
      const int second = min(tile * 16 + group + 8, kHaloVoxels - 1);  // maybe once more
      float sums[2][4] = {}, none[2][4];
      X::template convolve<false>(image, d, place(first), place(second), weight, sums, none);
#pragma unroll
      for (int upper = 0; upper < 2; upper++) {
        const int voxel = upper == 0 ? first : second;
        const int line = voxel / kHaloWidth;
        const int at_w = voxel % kHaloWidth;
        const bool is_there =
            is_inside(d, column.first_h - 1 + line, column.first_w - 1 + at_w, column.extents);
        round_pair(sums[0], upper);
        round_pair(sums[1], upper);
        const uint2 four = make_uint2(normalized(sums[0], upper, narrow_channel()),
                                      normalized(sums[1], upper, narrow_channel() + 2));
        *four_of(plane, line, at_w) = is_there ? four : make_uint2(0, 0);
      }
    }
  }

 private:
  __device__ __forceinline__ void copy(int d) const {
    X::copy(x, column, d, image + X::slot(d) * X::kValues);
  }

  __device__ __forceinline__ static int place(int voxel) {
    return voxel / kHaloWidth * kImageWidth + voxel % kHaloWidth;
  }

  __device__ __forceinline__ unsigned normalized(const float (&sums)[4], int upper,
                                                 int channel) const {
    const float4 two = *reinterpret_cast<const float4*>(prologue.coefficients +
                                                        column.item * 2 * kWidth + channel);
    return pack_pair(prologue.apply(sums[upper * 2], make_float2(two.x, two.y)),
                     prologue.apply(sums[upper * 2 + 1], make_float2(two.z, two.w)));
  }
};

constexpr int kPatch = 4;         // height and width of what a voxel of the features becomes
constexpr int kFeatureQuads = 4;  // of 8 channels
constexpr int kFeatureHeight = kPlaneHeight / kPatch + 2;
constexpr int kFeatureWidth = kPlaneWidth / kPatch + 2;
constexpr int kNarrowest = kFeatureWidth - 2;   // voxels of a line that have a place in common
constexpr int kPlaceSteps = kFeatureQuads / 2;  // of 16 channels
static_assert(kPlaneHeight % kPatch == 0 && kPlaneWidth % kPatch == 0);

/// The encoder's block finished, added to the upsampled features.
template <int kChannels>
struct Upsampled {
  static constexpr int kPlanes = 3;
  using X = Image<kChannels>;
  const bfloat16* c;
  const float2* coefficients;  // of c
  const bfloat16* x;
  const float2* image_coefficients;  // of conv1, behind them of the shortcut
  const float2* shortcut;            // weights of two channels each, for each channel of x
  const bfloat16* features;
  const uint4* weight;
  bfloat16* u;
  const Column& column;
  float slope;
  int patch_depth;
  bfloat16* image;        // planes of x that take turns
  uint4* feature_planes;  // likewise

  __device__ __forceinline__ void begin(int d, uint4* plane) const {
    if (d < 0 || d >= column.extents.d) return;
    copy_plane(c, column, kWidth, d, plane);
    X::copy(x, column, d, image + d % kPlanes * X::kValues);
    const Extents coarse = {column.extents.d / patch_depth, column.extents.h / kPatch,
                            column.extents.w / kPatch};
#pragma unroll 1
    for (int i = threadIdx.x; i < kFeatureHeight * kFeatureWidth * kFeatureQuads;
         i += kNarrowThreads) {
      const int voxel = i / kFeatureQuads;
      const int at_d = d / patch_depth;
      const int h = column.first_h / kPatch - 1 + voxel / kFeatureWidth;
      const int w = column.first_w / kPatch - 1 + voxel % kFeatureWidth;
      const bool is_there = is_inside(at_d, h, w, coarse);
      const long long from =
          ((static_cast<long long>(column.item) * coarse.d + at_d) * coarse.h + h) * coarse.w + w;
      copy_16_bytes(features_of(d) + feature_quad(voxel, i % kFeatureQuads),
                    is_there ? features + (from * kFeatureQuads + i % kFeatureQuads) * 8 : features,
                    is_there);
    }
  }

  __device__ __forceinline__ void complete(int d, uint4* plane) const {
    const int lane = threadIdx.x % kWarpSize;
    const uint4* const weight_of_plane =
        weight + d % patch_depth * kPatch * kPatch * kPlaceSteps * kWarpSize + lane;
#pragma unroll 1
    for (int place = threadIdx.x / kWarpSize; place < kPatch * kPatch; place += kNarrowWarps) {
      const int of_h = place / kPatch;
      const int of_w = place % kPatch;
      // of the features in shared memory, those that reach into the plane with its halo
      const int first_h = of_h == kPatch - 1 ? 0 : 1;
      const int first_w = of_w == kPatch - 1 ? 0 : 1;
      const bool is_wide = of_w == 0 || of_w == kPatch - 1;
      const bool is_high = of_h == 0 || of_h == kPatch - 1;
      const int count = (kNarrowest + (is_wide ? 1 : 0)) * (kFeatureHeight - 2 + (is_high ? 1 : 0));
      const auto to_line = [&](int i) {
        return is_wide ? i / (kNarrowest + 1) : i / kNarrowest;  // by constants
      };
#pragma unroll 1
      for (int first = 0; first < count; first += 16) {
        const int of_lane = min(first + lane % 16, count - 1);
        const int line_of_lane = to_line(of_lane);
        const int voxel = (first_h + line_of_lane) * kFeatureWidth + first_w + of_lane -
                          line_of_lane * (kNarrowest + is_wide);
        float sums[2][4] = {};
#pragma unroll
        for (int step = 0; step < kPlaceSteps; step++) {
          unsigned voxels[4];
          load_matrices(voxels, features_of(d) + feature_quad(voxel, step * 2 + lane / 16));
          const uint4 w = weight_of_plane[(place * kPlaceSteps + step) * kWarpSize];
          multiply_add(sums[0], voxels, w.x, w.y);
          multiply_add(sums[1], voxels, w.z, w.w);
        }
#pragma unroll
        for (int upper = 0; upper < 2; upper++) {
          const int own = first + upper * 8 + lane / 4;
          const int own_line = to_line(own);
          const int line = (first_h + own_line - 1) * kPatch + of_h + 1;
          const int at_w =
              (first_w + own - own_line * (kNarrowest + is_wide) - 1) * kPatch + of_w + 1;
          const float up[4] = {sums[0][upper * 2], sums[0][upper * 2 + 1], sums[1][upper * 2],
                               sums[1][upper * 2 + 1]};
          if (own < count) finish(d, line, at_w, up, plane);
          __syncwarp();  // one after the other, for want of registers
        }
      }
    }
  }

 private:
  __device__ __forceinline__ uint4* features_of(int d) const {
    return feature_planes + d % kPlanes * kFeatureHeight * kFeatureWidth * kFeatureQuads;
  }

  /// Place of 8 channels of a voxel: those of eight neighboring voxels meet all banks once.
  __device__ __forceinline__ static int feature_quad(int voxel, int quad) {
    return voxel * kFeatureQuads + (quad ^ (voxel >> 1 & 3));
  }

  /// Four channels of a voxel of u, from the upsampled features on.
  __device__ __forceinline__ void finish(int d, int line, int at_w, const float (&up)[4],
                                         uint4* plane) const {
    const int h = column.first_h - 1 + line;
    const int w = column.first_w - 1 + at_w;
    if (!is_inside(d, h, w, column.extents)) return;  // zeros were copied
    const bfloat16* const of_x =
        image + d % kPlanes * X::kValues + ((line + 1) * kImageWidth + at_w + 1) * kChannels;
    uint2* const at = four_of(plane, line, at_w);
    at->x = added(at->x, of_x, narrow_channel(), up[0], up[1]);
    at->y = added(at->y, of_x, narrow_channel() + 2, up[2], up[3]);
    if (line >= 1 && line <= kPlaneHeight && at_w >= 1 && at_w <= kPlaneWidth &&
        column.has_plane(d)) {
      *reinterpret_cast<uint2*>(u + column.voxel(d, h, w) * kWidth + narrow_channel()) = *at;
    }
  }

  /// Two neighboring channels.
  __device__ __forceinline__ unsigned added(unsigned pair, const bfloat16* of_x, int channel,
                                            float up0, float up1) const {
    float residual0 = 0.0f, residual1 = 0.0f;
#pragma unroll 1
    for (int i = 0; i < kChannels; i++) {
      const float2 two = shortcut[(i * kWidth + channel) / 2];
      const float value = to_float(of_x[i]);
      residual0 += value * two.x;
      residual1 += value * two.y;
    }
    const float4 own =
        *reinterpret_cast<const float4*>(coefficients + column.item * kWidth + channel);
    const float4 other = *reinterpret_cast<const float4*>(image_coefficients +
                                                          (column.item * 2 + 1) * kWidth + channel);
    float lower = (__uint_as_float(pair << 16) - own.x) * own.y;
    float upper = (__uint_as_float(pair & 0xffff0000u) - own.z) * own.w;
    lower += (residual0 - other.x) * other.y;
    upper += (residual1 - other.z) * other.w;
    lower = lower > 0.0f ? lower : slope * lower;
    upper = upper > 0.0f ? upper : slope * upper;
    return pack_pair(lower + up0, upper + up1);
  }
};

// ---- head -------------------------------------------------------------------------------------

constexpr int kHeadThreads = 256;
constexpr int kMostClasses = 16;

/// Stores the logits.
template <typename Y>
struct Logits {
  Y* y;

  __device__ __forceinline__ void take(const float (&logits)[kMostClasses], int classes, int item,
                                       int voxel, int tokens) const {
#pragma unroll
    for (int k = 0; k < kMostClasses; k++) {
      if (k < classes) {
        y[(static_cast<long long>(item) * classes + k) * tokens + voxel] = from_float<Y>(logits[k]);
      }
    }
  }
};

/// Softmax of the first classes, zeros behind them.
__device__ __forceinline__ void to_probabilities(float (&logits)[kMostClasses], int classes) {
  float largest = logits[0];
#pragma unroll
  for (int k = 1; k < kMostClasses; k++) {
    if (k < classes) largest = fmaxf(largest, logits[k]);
  }
  float sum = 0.0f;
#pragma unroll
  for (int k = 0; k < kMostClasses; k++) {
    logits[k] = k < classes ? expf(logits[k] - largest) : 0.0f;
    sum += logits[k];
  }
#pragma unroll
  for (int k = 0; k < kMostClasses; k++) logits[k] /= sum;
}

/// Stores their softmax.
template <typename Y>
struct Probabilities {
  Y* y;

  __device__ __forceinline__ void take(float (&logits)[kMostClasses], int classes, int item,
                                       int voxel, int tokens) const {
    to_probabilities(logits, classes);
    Logits<Y>{y}.take(logits, classes, item, voxel, tokens);
  }
};

/// Stores the first class of those with the largest logit.
struct Labels {
  unsigned char* labels;

  __device__ __forceinline__ void take(const float (&logits)[kMostClasses], int classes, int item,
                                       int voxel, int tokens) const {
    float largest = logits[0];
    int label = 0;
#pragma unroll
    for (int k = 1; k < kMostClasses; k++) {
      if (k < classes && logits[k] > largest) {
        largest = logits[k];
        label = k;
      }
    }
    labels[static_cast<long long>(item) * tokens + voxel] = static_cast<unsigned char>(label);
  }
};

/// What the head reads.
struct HeadInput {
  const bfloat16* g;
  Prologue prologue;
  const bfloat16* u;
  const float* bias;
  int tokens, classes;
};

/// Weights of the head, a line of classes for each channel.
using HeadWeights = float4[kWidth][kMostClasses / 4];

/// Loads the weights (classes, 16). All threads must call it.
__device__ __forceinline__ void load_weights(const float* __restrict__ weight, int classes,
                                             HeadWeights& weights) {
  static_assert(kHeadThreads >= kWidth * kMostClasses);
  const int thread = threadIdx.x;
  if (thread < kWidth * kMostClasses) {
    const int k = thread % kMostClasses;
    reinterpret_cast<float*>(weights)[thread] =
        k < classes ? weight[k * kWidth + thread / kMostClasses] : 0.0f;
  }
  __syncthreads();
}

__device__ __forceinline__ void logits_of(const HeadInput& input, const HeadWeights& weights,
                                          int item, int voxel, float (&logits)[kMostClasses]) {
  const long long at = (static_cast<long long>(item) * input.tokens + voxel) * kWidth;
#pragma unroll
  for (int k = 0; k < kMostClasses; k++) logits[k] = k < input.classes ? input.bias[k] : 0.0f;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const uint4 of_g = reinterpret_cast<const uint4*>(input.g + at)[half];
    const uint4 of_u = reinterpret_cast<const uint4*>(input.u + at)[half];
#pragma unroll
    for (int c = 0; c < 8; c++) {
      const auto value = [&](const uint4& eight) {
        const unsigned pair = c < 2 ? eight.x : c < 4 ? eight.y : c < 6 ? eight.z : eight.w;
        return __uint_as_float(c % 2 == 0 ? pair << 16 : pair & 0xffff0000u);
      };
      const float2 own = input.prologue.coefficients[item * kWidth + half * 8 + c];
      float sum = (value(of_g) - own.x) * own.y + value(of_u);
      sum = to_float(from_float<bfloat16>(sum > 0.0f ? sum : input.prologue.slope * sum));
#pragma unroll
      for (int quad = 0; quad < kMostClasses / 4; quad++) {
        const float4 four = weights[half * 8 + c][quad];
        logits[quad * 4] += sum * four.x;
        logits[quad * 4 + 1] += sum * four.y;
        logits[quad * 4 + 2] += sum * four.z;
        logits[quad * 4 + 3] += sum * four.w;
      }
    }
  }
}

template <typename Sink>
__device__ __forceinline__ void head(const HeadInput& input, const float* __restrict__ weight,
                                     const Sink& sink) {
  __shared__ HeadWeights weights;
  load_weights(weight, input.classes, weights);
  const int voxel = blockIdx.x * kHeadThreads + threadIdx.x;
  if (voxel >= input.tokens) return;
  float logits[kMostClasses];
  logits_of(input, weights, blockIdx.y, voxel, logits);
  sink.take(logits, input.classes, blockIdx.y, voxel, input.tokens);
}

/// Adds what the items of a window say of its voxels to the sums, as window.cu's accumulate does of
/// probabilities.
__device__ __forceinline__ void head_window(const HeadInput& input,
                                            const float* __restrict__ weight,
                                            const WindowStep& step, int number,
                                            const Voxel& window) {
  __shared__ HeadWeights weights;
  load_weights(weight, input.classes, weights);
  const int voxel = blockIdx.x * kHeadThreads + threadIdx.x;
  if (voxel >= input.tokens || number >= step.windows) return;
  const Voxel within = Voxel::at(voxel, window);
  const Voxel to = within.plus(step.origins[number]);
  if (!to.is_inside(step.extent)) return;
  float mean[kMostClasses] = {};
#pragma unroll 1
  for (int mirroring = 0; mirroring < step.mirrorings; mirroring++) {
    const Voxel from = within.mirrored(window, step.axes(mirroring));
    const int item = number * step.mirrorings + mirroring;
    float logits[kMostClasses];
    __syncwarp();  // or else all weights would be kept in registers
    logits_of(input, weights, item, static_cast<int>(from.index(window)), logits);
    to_probabilities(logits, input.classes);
#pragma unroll
    for (int k = 0; k < kMostClasses; k++) {
      mean[k] = __fadd_rn(mean[k], __fmul_rn(step.share, logits[k]));
    }
  }
  const bool is_weighted = step.importance != nullptr;
  const float importance = is_weighted ? step.importance[voxel] : 1.0f;
  float* const sums = step.sums + to.place(step.extent, step.sum_slices);
  const long long plane = step.sum_plane();
#pragma unroll
  for (int k = 0; k < kMostClasses; k++) {
    if (k < input.classes) {
      sums[k * plane] = __fadd_rn(sums[k * plane], __fmul_rn(importance, mean[k]));
    }
  }
  if (is_weighted) {
    sums[input.classes * plane] = __fadd_rn(sums[input.classes * plane], importance);
  }
}

}  // namespace

#define MEASURE(channels)                                                             \
  ENTRY(full_resolution_measure_##channels##_bf16, kNarrowThreads, const bfloat16* x, \
        const uint4* weight, STATISTICS_PARAMETERS, int depth, int height, int width, \
        int depth_per_block) {                                                        \
    require_tensor_cores();                                                           \
    __shared__ Column column;                                                         \
    Column::set(column, {depth, height, width}, depth_per_block);                     \
    measure<channels>(x, weight, column, STATISTICS);                                 \
  }

MEASURE(1)
MEASURE(4)

#define ENCODE(channels)                                                                           \
  ENTRY(full_resolution_encode_##channels##_bf16, kNarrowThreads, const bfloat16* x,               \
        const uint4* image_weight, const float2* image_coefficients, float slope,                  \
        const uint4* weight, bfloat16* y, STATISTICS_PARAMETERS, int depth, int height, int width, \
        int depth_per_block) {                                                                     \
    require_tensor_cores();                                                                        \
    DYNAMIC_SHARED(uint4, shared);                                                                 \
    LaneMoments* const lanes = reinterpret_cast<LaneMoments*>(                                     \
        shared + FirstConvolution<channels>::kPlanes * kPlaneQuads);                               \
    __shared__ Column column;                                                                      \
    Column::set(column, {depth, height, width}, depth_per_block);                                  \
    const FirstConvolution<channels> source = {x,                                                  \
                                               column,                                             \
                                               image_weight,                                       \
                                               {image_coefficients, slope},                        \
                                               reinterpret_cast<bfloat16*>(lanes + 1)};            \
    const Measured sink = {column, y, kWidth, *lanes};                                             \
    source.start();                                                                                \
    walk(column, weight, shared, source, sink);                                                    \
    sink.finish(reinterpret_cast<Moments*>(shared), STATISTICS);                                   \
  }

ENCODE(1)
ENCODE(4)

#define DECODE(channels)                                                                      \
  ENTRY(full_resolution_decode_##channels##_bf16, kNarrowThreads, const bfloat16* c,          \
        const float2* coefficients_of_c, const bfloat16* x, const float2* image_coefficients, \
        const float* shortcut, const bfloat16* features, const uint4* upsampling_weight,      \
        float slope, int patch_depth, const uint4* weight, bfloat16* u, bfloat16* y,          \
        STATISTICS_PARAMETERS, int depth, int height, int width, int depth_per_block) {       \
    require_tensor_cores();                                                                   \
    DYNAMIC_SHARED(uint4, shared);                                                            \
    __shared__ float2 shortcut_pairs[channels * kWidth / 2];                                  \
    LaneMoments* const lanes =                                                                \
        reinterpret_cast<LaneMoments*>(shared + Upsampled<channels>::kPlanes * kPlaneQuads);  \
    uint4* const feature_planes = reinterpret_cast<uint4*>(lanes + 1);                        \
    for (int i = threadIdx.x; i < channels * kWidth; i += kNarrowThreads) {                   \
      const float value = shortcut[i % kWidth * channels + i / kWidth];                       \
      reinterpret_cast<float*>(shortcut_pairs)[i] = to_float(from_float<bfloat16>(value));    \
    }                                                                                         \
    __shared__ Column column;                                                                 \
    Column::set(column, {depth, height, width}, depth_per_block);                             \
    const Upsampled<channels> source = {                                                      \
        c,                                                                                    \
        coefficients_of_c,                                                                    \
        x,                                                                                    \
        image_coefficients,                                                                   \
        shortcut_pairs,                                                                       \
        features,                                                                             \
        upsampling_weight,                                                                    \
        u,                                                                                    \
        column,                                                                               \
        slope,                                                                                \
        patch_depth,                                                                          \
        reinterpret_cast<bfloat16*>(feature_planes + Upsampled<channels>::kPlanes *           \
                                                         kFeatureHeight * kFeatureWidth *     \
                                                         kFeatureQuads),                      \
        feature_planes};                                                                      \
    const Measured sink = {column, y, kWidth, *lanes};                                        \
    walk(column, weight, shared, source, sink);                                               \
    sink.finish(reinterpret_cast<Moments*>(shared), STATISTICS);                              \
  }

DECODE(1)
DECODE(4)

#define HEAD_PARAMETERS                                                          \
  const bfloat16 *g, const float2 *coefficients, float slope, const bfloat16 *u, \
      const float *weight, const float *bias, int tokens, int classes
#define HEAD_INPUT \
  { g, {coefficients, slope}, u, bias, tokens, classes }

#define HEAD(suffix, Y)                                                                     \
  ENTRY(full_resolution_logits_bf16_##suffix, kHeadThreads, HEAD_PARAMETERS, Y* y) {        \
    head(HEAD_INPUT, weight, Logits<Y>{y});                                                 \
  }                                                                                         \
  ENTRY(full_resolution_probabilities_bf16_##suffix, kHeadThreads, HEAD_PARAMETERS, Y* y) { \
    head(HEAD_INPUT, weight, Probabilities<Y>{y});                                          \
  }

HEAD(bf16, bfloat16)
HEAD(f32, float)

ENTRY(full_resolution_labels_bf16, kHeadThreads, HEAD_PARAMETERS, unsigned char* labels) {
  head(HEAD_INPUT, weight, Labels{labels});
}

ENTRY_BLOCKS(full_resolution_window_bf16, kHeadThreads, 1, HEAD_PARAMETERS, const WindowStep* step,
             int number, int depth, int height, int width) {
  head_window(HEAD_INPUT, weight, *step, number, {depth, height, width});
}

namespace {

/// Row and column of a packed value in the product of a step, and the step: (steps, 32 lanes, 2, 2,
/// 2), of a lane the registers b0 and b1 of two neighboring products, and the two rows in one
/// register. The columns are exchanged as tensor_convolution.cu says.
struct Packed {
  long long step;
  int row, column;

  __device__ __forceinline__ static Packed of(long long i) {
    const int in_lane = static_cast<int>(i % 8);
    const int lane = static_cast<int>(i / 8 % kWarpSize);
    const int in_product = lane / 4;
    return {i / (8 * kWarpSize), lane % 4 * 2 + in_lane / 2 % 2 * 8 + in_lane % 2,
            in_product / 2 * 4 + in_product % 2 + in_lane / 4 * 2};
  }
};

}  // namespace

// Weights of conv1 (16, channels, 27) and conv3 (16, channels) to those of Image.
ENTRY(full_resolution_pack_image, 256, const float* weight, const float* shortcut, bfloat16* packed,
      int values, int channels) {
  const long long i = thread_in_grid();
  if (i >= values) return;
  const Packed at = Packed::of(i);
  const int steps = (kPlaneTaps * channels + kChunk - 1) / kChunk;
  const int kd = static_cast<int>(at.step / steps);
  const int term =
      (kd < 3 ? static_cast<int>(at.step % steps) : kPlaneTaps / 2 * channels / kChunk) * kChunk +
      at.row;
  const int tap = term / channels;
  const int row = at.column * channels + term % channels;
  float value = 0.0f;
  if (kd == 3) {
    if (tap == kPlaneTaps / 2) value = shortcut[row];
  } else if (tap < kPlaneTaps) {
    value = weight[row * kTaps + (kd * 3 + tap % 3) * 3 + tap / 3];
  }
  packed[i] = from_float<bfloat16>(value);
}

// Weights of a transposed convolution (channels, 16, places), channels a multiple of 16, to
// (places, channels / 16) steps.
ENTRY(full_resolution_pack_upsampling, 256, const float* weight, bfloat16* packed, long long values,
      int channels, int places) {
  const long long i = thread_in_grid();
  if (i >= values) return;
  const Packed at = Packed::of(i);
  const int steps = channels / kChunk;
  const long long channel = at.step % steps * kChunk + at.row;
  packed[i] =
      from_float<bfloat16>(weight[(channel * kWidth + at.column) * places + at.step / steps]);
}
