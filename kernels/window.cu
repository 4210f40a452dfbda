// Windows of an image whose slices, and the sums of whose classes, are kept on the device while
// windows pass: cut out and mirrored on their way into the network, mirrored back, averaged,
// weighted and added up on their way out of it; sums to probabilities, and probabilities to labels
// on another grid.
//
//   gather      y[i,c,v] = image[c, origin_n + m(v)], or 0 outside of the image
//   accumulate  sum[k, origin_n + v] += importance[v] mean_i p[i,k,m_i(v)]
//               weight[origin_n + v] += importance[v]
//   average     sum[k,v] = sum[k,v] / weight[v]
//   labels      label[u] = first k of the greatest sum_abc wd[a] wh[b] ww[c] sum[k, d_a, h_b, w_c]
//   m(d,h,w)    d, h, w or, where the mask of mirrored axes has the bit 4, 2, 1 of depth, height,
//               width, their distance from the other end of the window
//
// Shapes   image (C, S, H, W) of float, slice s of the image at s % S; sums the same with K classes
//          and, if windows have an importance, the weights as one class more; y (B, C, d, h, w) and
//          p (B, K, d, h, w) of T; importance (d, h, w) of float, or none for ones. Items of the
//          batch are n windows, each mirrored in m ways, 1, 2, 4 or 8: item n m + i; B is at most
//          8. Those beyond the windows of a step are zeros. labels of bytes; of each of its axes,
//          for each place two samples at most, told by where they lie, and their weights in double.
// Launch   gather: one thread per voxel of the window: grid = (ceil(d h w / 256), B), block = 256.
//          accumulate: the same for one window, grid = ceil(d h w / 256), as windows overlap.
//          average, labels: one thread per voxel: grid = ceil(voxels / 256), block = 256.
//          All that differs from step to step is read from a WindowStep in the device's memory, so
//          that a recorded launch serves every window.
// Traffic  gather d h w B C (4 + sizeof(T)) bytes; accumulate n d h w (K (8 + m sizeof(T)) + 12);
//          average (8 K + 4) a voxel; labels 4 K a voxel of the sums and 1 of the labels.
// Numerics in float for every T. Each product and each sum is rounded, none is fused with another,
//          and each voxel's come in the order of the mirrorings, then of the windows: the same bits
//          as the same formulas give on a processor. Labels in double likewise, from the depth to
//          the width, rounded to float before they are compared. One thread writes a voxel; the
//          least index of a sum that is no finite number is found by an atomic minimum.
// Launcher org.unetrpp.backend.cuda.WindowKernels
#include "window.cuh"

namespace {

template <typename T>
__device__ __forceinline__ void window_gather(const WindowStep& step, T* __restrict__ y,
                                              const Voxel& window, int channels) {
  const long long voxel = thread_in_grid();
  const long long count = window.count();
  if (voxel >= count) return;
  const int item = blockIdx.y;
  const int number = item / step.mirrorings;
  const float* from = step.image;
  bool is_inside = number < step.windows;
  if (is_inside) {
    const Voxel place = Voxel::at(static_cast<int>(voxel), window)
                            .mirrored(window, step.axes(item % step.mirrorings))
                            .plus(step.origins[number]);
    is_inside = place.is_inside(step.extent);
    if (is_inside) from += place.place(step.extent, step.image_slices);
  }
  const long long plane =
      static_cast<long long>(step.image_slices) * step.extent.height * step.extent.width;
  T* to = y + item * channels * count + voxel;
  for (int c = 0; c < channels; c++) {
    to[c * count] = from_float<T>(is_inside ? from[c * plane] : 0.0f);
  }
}

/// Adds a window that was predicted in kItems ways.
template <int kItems, typename T>
__device__ __forceinline__ void add_window(const WindowStep& step, const T* __restrict__ p,
                                           const Voxel& window, const Voxel& within, float* sum,
                                           int classes) {
  const long long count = window.count();
  const long long voxel = within.index(window);
  const bool is_weighted = step.importance != nullptr;
  const float weight = is_weighted ? step.importance[voxel] : 1.0f;
  const long long plane = step.sum_plane();
  const long long stride = classes * count;  // between items
  int from[kItems];
#pragma unroll
  for (int item = 0; item < kItems; item++) {
    from[item] = static_cast<int>(within.mirrored(window, step.axes(item)).index(window));
  }
#pragma unroll 1
  for (int k = 0; k < classes; k++, p += count) {
    float mean = 0.0f;
#pragma unroll
    for (int item = 0; item < kItems; item++) {
      mean = __fadd_rn(mean, __fmul_rn(step.share, to_float(p[item * stride + from[item]])));
    }
    sum[k * plane] = __fadd_rn(sum[k * plane], is_weighted ? __fmul_rn(mean, weight) : mean);
  }
  if (is_weighted) sum[classes * plane] = __fadd_rn(sum[classes * plane], weight);
}

template <typename T>
__device__ __forceinline__ void window_accumulate(const WindowStep& step, const T* __restrict__ p,
                                                  const Voxel& window, int number, int classes) {
  const long long voxel = thread_in_grid();
  const long long count = window.count();
  if (voxel >= count || number >= step.windows) return;
  const Voxel within = Voxel::at(static_cast<int>(voxel), window);
  const Voxel to = within.plus(step.origins[number]);
  if (!to.is_inside(step.extent)) return;
  const T* const mine = p + static_cast<long long>(number) * step.mirrorings * classes * count;
  float* const sum = step.sums + to.place(step.extent, step.sum_slices);
  switch (step.mirrorings) {
    case 1:
      return add_window<1>(step, mine, window, within, sum, classes);
    case 2:
      return add_window<2>(step, mine, window, within, sum, classes);
    case 4:
      return add_window<4>(step, mine, window, within, sum, classes);
    default:
      return add_window<8>(step, mine, window, within, sum, classes);
  }
}

/// Two samples of an axis for a place, or one.
struct Samples {
  long long places[2];
  double weights[2];
  int taps;

  __device__ __forceinline__ static Samples of(const long long* __restrict__ places,
                                               const double* __restrict__ weights, int taps,
                                               int index) {
    Samples samples;
    samples.taps = taps;
#pragma unroll
    for (int tap = 0; tap < 2; tap++) {
      if (tap < taps) {
        samples.places[tap] = places[static_cast<long long>(index) * taps + tap];
        samples.weights[tap] = weights[static_cast<long long>(index) * taps + tap];
      }
    }
    return samples;
  }

  /// The weighted sum of what there is at the places.
  template <typename At>
  __device__ __forceinline__ double blend(At at) const {
    double sum = 0.0;
#pragma unroll
    for (int tap = 0; tap < 2; tap++) {
      if (tap < taps) sum = __dadd_rn(sum, __dmul_rn(weights[tap], at(places[tap])));
    }
    return sum;
  }
};

}  // namespace

#define WINDOW(suffix, T)                                                                         \
  ENTRY(window_gather_##suffix, 256, const WindowStep* step, T* y, int depth, int height,         \
        int width, int channels) {                                                                \
    window_gather<T>(*step, y, {depth, height, width}, channels);                                 \
  }                                                                                               \
  ENTRY_BLOCKS(window_accumulate_##suffix, 256, 4, const WindowStep* step, const T* p, int depth, \
               int height, int width, int number, int classes) {                                  \
    window_accumulate<T>(*step, p, {depth, height, width}, number, classes);                      \
  }

WINDOW(f32, float)
WINDOW(bf16, bfloat16)

ENTRY(window_average, 256, float* sums, unsigned long long* least, int classes, int weighted,
      int slices, int depth, int height, int width, int first, int count) {
  const Voxel extent = {depth, height, width};
  const long long voxel = thread_in_grid();
  const long long area = static_cast<long long>(height) * width;
  if (voxel >= count * area) return;
  const int slice = first + static_cast<int>(voxel / area);
  const long long within = voxel % area;
  const long long plane = slices * area;
  float* const values = sums + slice % slices * area + within;
  const float weight = weighted ? values[classes * plane] : 1.0f;
  for (int k = 0; k < classes; k++) {
    float value = values[k * plane];
    if (weighted) {
      value /= weight;
      values[k * plane] = value;
    }
    if (!(fabsf(value) <= kLargest)) {
      atomicMin(least, static_cast<unsigned long long>(k * extent.count() + slice * area + within));
    }
  }
}

ENTRY(window_labels, 256, const float* sums, long long plane, int classes, unsigned char* labels,
      int depth, int height, int width, const long long* depth_places, const double* depth_weights,
      int depth_taps, const long long* height_places, const double* height_weights, int height_taps,
      const long long* width_places, const double* width_weights, int width_taps) {
  const Voxel extent = {depth, height, width};
  const long long voxel = thread_in_grid();
  if (voxel >= extent.count()) return;
  const long long row = voxel / width;
  const Samples across =
      Samples::of(depth_places, depth_weights, depth_taps, static_cast<int>(row / height));
  const Samples down =
      Samples::of(height_places, height_weights, height_taps, static_cast<int>(row % height));
  const Samples along =
      Samples::of(width_places, width_weights, width_taps, static_cast<int>(voxel % width));
  float greatest = 0.0f;
  int label = 0;
  for (int k = 0; k < classes; k++) {
    const float* const values = sums + k * plane;
    const float value = static_cast<float>(along.blend([&](long long w) {
      return down.blend([&](long long h) {
        return across.blend([&](long long d) { return static_cast<double>(values[d + h + w]); });
      });
    }));
    if (k == 0 || value > greatest) {
      greatest = value;
      label = k;
    }
  }
  labels[voxel] = static_cast<unsigned char>(label);
}
