// Where the windows of a step are, and their voxels: what kernels share that take windows of an
// image or add to their sums.
#pragma once

#include "common.cuh"

constexpr int kMostWindows = 8;

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

  /// Index where only so many slices are kept.
  __device__ __forceinline__ long long place(const Voxel& extent, int slices) const {
    return Voxel{depth % slices, height, width}.index(extent);
  }

  /// Voxels of an extent.
  __device__ __forceinline__ long long count() const {
    return static_cast<long long>(depth) * height * width;
  }
};

/// What a step does, as org.unetrpp.backend.cuda.WindowStep writes it.
struct WindowStep {
  const float* image;
  float* sums;
  const float* importance;
  Voxel extent;  // of the image
  int image_slices, sum_slices;
  int windows;  // of this step; none when it is done
  int mirrorings;
  int masks;    // three bits for each mirroring, those of the first the lowest
  float share;  // of a mirroring in the mean
  Voxel origins[kMostWindows];

  __device__ __forceinline__ int axes(int mirroring) const { return masks >> (3 * mirroring) & 7; }

  /// Values of the slices that are kept of a class's sums.
  __device__ __forceinline__ long long sum_plane() const {
    return static_cast<long long>(sum_slices) * extent.height * extent.width;
  }
};
static_assert(sizeof(WindowStep) == 160, "org.unetrpp.backend.cuda.WindowStep says the same");
