// Helpers shared by every kernel file: entry points, element types, lane arithmetic, reductions.
//
// No header of CUDA's own is needed, so that a kernel file compiles with nvcc, with NVRTC on a
// machine without the toolkit, and with a C++ compiler for the host (emulation/cuda_on_host.h).
#pragma once

// An entry point: ENTRY(name, threads, parameters) { body }. No launch has a block of more threads.
// On the host, cuda_on_host.h defines it.
#ifdef __CUDACC__
#define ENTRY(name, threads, ...) \
  extern "C" __global__ void __launch_bounds__(threads) name(__VA_ARGS__)
// With the blocks that a multiprocessor is to hold at once: the compiler uses the registers that
// there are for those, where else it may spill some to make room for more blocks.
#define ENTRY_BLOCKS(name, threads, blocks, ...) \
  extern "C" __global__ void __launch_bounds__(threads, blocks) name(__VA_ARGS__)
#define DYNAMIC_SHARED(type, name)                              \
  extern __shared__ __align__(16) unsigned char name##_bytes[]; \
  type* const name = reinterpret_cast<type*>(name##_bytes)
#else
#define ENTRY_BLOCKS(name, threads, blocks, ...) ENTRY(name, threads, __VA_ARGS__)
#endif

constexpr int kWarpSize = 32;
constexpr unsigned kAllLanes = 0xffffffffu;
constexpr float kLargest = 3.402823466e38f;

// The upper half of a float. Arithmetic is in float: load with to_float, store with from_float.
struct bfloat16 {
  unsigned short bits;
};

__device__ __forceinline__ float to_float(float value) { return value; }

__device__ __forceinline__ float to_float(bfloat16 value) {
  return __uint_as_float(static_cast<unsigned>(value.bits) << 16);
}

template <typename T>
__device__ __forceinline__ T from_float(float value);

template <>
__device__ __forceinline__ float from_float<float>(float value) {
  return value;
}

/// To the nearest, ties to even; NaN stays NaN.
template <>
__device__ __forceinline__ bfloat16 from_float<bfloat16>(float value) {
  const unsigned bits = __float_as_uint(value);
  const unsigned rounded = (bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16;
  const bool is_nan = (bits & 0x7fffffffu) > 0x7f800000u;
  return {static_cast<unsigned short>(is_nan ? 0x7fffu : rounded)};
}

/// Sum of value over the 32 lanes; every lane gets the result. All lanes must call it.
__device__ __forceinline__ float warp_sum(float value) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, offset);
  }
  return value;
}

__device__ __forceinline__ double warp_sum(double value) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, offset);
  }
  return value;
}

/// Largest value of the 32 lanes; every lane gets it. All lanes must call it.
__device__ __forceinline__ float warp_max(float value) {
  for (int offset = kWarpSize / 2; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
  }
  return value;
}

/// Index of the thread within its block.
__device__ __forceinline__ int thread_in_block() {
  return (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
}

/// Threads of a block.
__device__ __forceinline__ int block_threads() { return blockDim.x * blockDim.y * blockDim.z; }

/// Sum over the threads of a block, in a fixed order; every thread gets the result. The block has
/// whole warps; all its threads must call it. scratch holds 33 values in shared memory.
template <typename Sum>
__device__ __forceinline__ Sum block_sum(Sum value, Sum* scratch) {
  const int thread = thread_in_block();
  const int warps = block_threads() / kWarpSize;
  value = warp_sum(value);
  if (thread % kWarpSize == 0) scratch[thread / kWarpSize] = value;
  __syncthreads();
  if (thread < kWarpSize) {
    const Sum total = warp_sum(thread < warps ? scratch[thread] : Sum(0));
    if (thread == 0) scratch[kWarpSize] = total;
  }
  __syncthreads();
  const Sum total = scratch[kWarpSize];
  __syncthreads();  // scratch may be used again
  return total;
}

/// Index of the thread within a grid of one axis.
__device__ __forceinline__ long long thread_in_grid() {
  return static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
}

/// Whether a block is the last to come of those that share a ticket, which is zero before the first
/// and after the last. What the others wrote before they came may then be read, but not through the
/// cache of constants. All threads of the block must call it.
__device__ __forceinline__ bool comes_last(unsigned* ticket, unsigned blocks) {
  __shared__ bool is_last;
  __threadfence();
  __syncthreads();
  if (thread_in_block() == 0) {
    is_last = atomicAdd(ticket, 1u) == blocks - 1;
    if (is_last) *ticket = 0;
  }
  __syncthreads();
  const bool last = is_last;
  if (last) __threadfence();
  return last;
}
