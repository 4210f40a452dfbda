// Windows of a volume: cut out and mirrored on their way into the network, mirrored back and added
// to the volume on their way out of it.
//
//   gather      y[v,c] = volume[c, origin + m(v)], or 0 outside of the volume
//   accumulate  sum[k, origin + v] += weight[v] sum_b share p[b,k,m_b(v)]
//   m(d,h,w)    d, h, w or, where the mask of mirrored axes has the bit 4, 2, 1 of depth, height,
//               width, their distance from the other end of the window
//
// Shapes   volume (C, D, H, W) and sum (K, D, H, W) of float; y (d, h, w, C) and p (B, K, d, h, w)
//          of T; weight (d, h, w) of float, or none for ones. B is at most 8: the masks have three
//          bits for each item, those of the first the lowest.
// Launch   gather: one thread per voxel of the window: grid = ceil(d h w / 256), block = 256.
//          accumulate: the same for each class: grid = (ceil(d h w / 256), K), block = 256.
// Traffic  gather d h w C (4 + sizeof(T)) bytes; accumulate d h w (K (8 + B sizeof(T)) + 4) bytes.
// Numerics in float for every T; items are added in their order; one thread adds to a voxel.
// Launcher org.unetrpp.backend.cuda.WindowKernels
#include "common.cuh"

namespace {

struct Voxel {
  int depth, height, width;

  /// That with an index within an extent.
  __device__ __forceinline__ static Voxel at(int index, const Voxel& extent) {
    const int row = index / extent.width;
    return {row / extent.height, row % extent.height, index % extent.width};
  }

  __device__ __forceinline__ Voxel mirrored(const Voxel& extent, int axes) const {
    return {axes & 4 ? extent.depth - 1 - depth : depth,
            axes & 2 ? extent.height - 1 - height : height,
            axes & 1 ? extent.width - 1 - width : width};
  }

  __device__ __forceinline__ Voxel plus(const Voxel& other) const {
    return {depth + other.depth, height + other.height, width + other.width};
  }

  __device__ __forceinline__ bool is_inside(const Voxel& extent) const {
    return depth >= 0 && depth < extent.depth && height >= 0 && height < extent.height &&
           width >= 0 && width < extent.width;
  }

  __device__ __forceinline__ long long index(const Voxel& extent) const {
    return (static_cast<long long>(depth) * extent.height + height) * extent.width + width;
  }

  /// Voxels of an extent.
  __device__ __forceinline__ long long count() const {
    return static_cast<long long>(depth) * height * width;
  }
};

template <typename T>
__device__ __forceinline__ void window_gather(const float* __restrict__ volume, T* __restrict__ y,
                                              const Voxel& extent, const Voxel& origin,
                                              const Voxel& window, int channels, int axes) {
  const long long voxel = thread_in_grid();
  if (voxel >= window.count()) return;
  const Voxel from = Voxel::at(static_cast<int>(voxel), window).mirrored(window, axes).plus(origin);
  const bool is_inside = from.is_inside(extent);
  const float* values = volume + (is_inside ? from.index(extent) : 0);
  T* to = y + voxel * channels;
  for (int c = 0; c < channels; c++) {
    to[c] = from_float<T>(is_inside ? values[c * extent.count()] : 0.0f);
  }
}

template <typename T>
__device__ __forceinline__ void window_accumulate(const T* __restrict__ p,
                                                  const float* __restrict__ weight, float* sums,
                                                  const Voxel& extent, const Voxel& origin,
                                                  const Voxel& window, int batch, int masks,
                                                  float share) {
  const long long voxel = thread_in_grid();
  const long long count = window.count();
  if (voxel >= count) return;
  const Voxel within = Voxel::at(static_cast<int>(voxel), window);
  const Voxel to = within.plus(origin);
  if (!to.is_inside(extent)) return;
  const long long k = blockIdx.y;
  const long long classes = gridDim.y;
  float sum = 0.0f;
  for (int item = 0; item < batch; item++) {
    const Voxel from = within.mirrored(window, masks >> (3 * item) & 7);
    sum += share * to_float(p[(item * classes + k) * count + from.index(window)]);
  }
  sums[k * extent.count() + to.index(extent)] += weight == nullptr ? sum : weight[voxel] * sum;
}

}  // namespace

#define WINDOW(suffix, T)                                                                         \
  ENTRY(window_gather_##suffix, 256, const float* volume, T* y, int depth, int height, int width, \
        int origin_depth, int origin_height, int origin_width, int window_depth,                  \
        int window_height, int window_width, int channels, int axes) {                            \
    window_gather<T>(volume, y, {depth, height, width},                                           \
                     {origin_depth, origin_height, origin_width},                                 \
                     {window_depth, window_height, window_width}, channels, axes);                \
  }                                                                                               \
  ENTRY(window_accumulate_##suffix, 256, const T* p, const float* weight, float* sums, int depth, \
        int height, int width, int origin_depth, int origin_height, int origin_width,             \
        int window_depth, int window_height, int window_width, int batch, int masks,              \
        float share) {                                                                            \
    window_accumulate<T>(p, weight, sums, {depth, height, width},                                 \
                         {origin_depth, origin_height, origin_width},                             \
                         {window_depth, window_height, window_width}, batch, masks, share);       \
  }

WINDOW(f32, float)
WINDOW(bf16, bfloat16)
