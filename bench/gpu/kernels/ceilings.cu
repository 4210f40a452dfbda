// What a device can do at most: small kernels that do one thing only. ceilings.py times them.
#include <cuda_bf16.h>

namespace {

constexpr int kAccumulators = 8;

__device__ __forceinline__ void multiply(float* c, const unsigned* a, const unsigned* b) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};\n"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}

}  // namespace

/// rounds * 8 products of 16x8x16 in each warp: 2 * 16 * 8 * 16 operations each.
extern "C" __global__ void __launch_bounds__(256)
    mma_peak(const unsigned* x, float* y, int rounds) {
  const int thread = blockIdx.x * blockDim.x + threadIdx.x;
  unsigned a[4];
  unsigned b[kAccumulators][2];
  float c[kAccumulators][4];
  for (int i = 0; i < 4; i++) a[i] = x[(thread + i * 1021) & 0xffff];
  for (int j = 0; j < kAccumulators; j++) {
    for (int i = 0; i < 2; i++) b[j][i] = x[(thread + (2 * j + i) * 4093) & 0xffff];
    for (int i = 0; i < 4; i++) c[j][i] = 0.0f;
  }
  for (int round = 0; round < rounds; round++) {
#pragma unroll
    for (int j = 0; j < kAccumulators; j++) multiply(c[j], a, b[j]);
  }
  float sum = 0.0f;
  for (int j = 0; j < kAccumulators; j++) {
    for (int i = 0; i < 4; i++) sum += c[j][i];
  }
  y[thread] = sum;
}

/// Reads count float4 values rounds times past the first-level cache.
extern "C" __global__ void __launch_bounds__(512)
    l2_read(const float4* x, float* y, int count, int rounds) {
  const int thread = blockIdx.x * blockDim.x + threadIdx.x;
  const int threads = gridDim.x * blockDim.x;
  float sum = 0.0f;
  for (int round = 0; round < rounds; round++) {
#pragma unroll 4
    for (int i = thread; i < count; i += threads) {
      const float4 value = __ldcg(x + i);
      sum += value.x + value.y + value.z + value.w;
    }
  }
  y[thread] = sum;
}

/// Reads and writes count float4 values once.
extern "C" __global__ void __launch_bounds__(512)
    copy(const float4* x, float4* y, long long count) {
  const long long threads = static_cast<long long>(gridDim.x) * blockDim.x;
  for (long long i = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x; i < count;
       i += threads) {
    y[i] = x[i];
  }
}

/// Does next to nothing: a chain of these costs what launches cost.
extern "C" __global__ void __launch_bounds__(32) empty(float* y) {
  if (threadIdx.x == 32) y[0] = 1.0f;
}

/// All blocks of the grid, which must fit the device at once, wait for each other rounds times.
/// arrivals is 0 before.
extern "C" __global__ void __launch_bounds__(256) grid_barrier(unsigned* arrivals, int rounds) {
  for (int round = 1; round <= rounds; round++) {
    __syncthreads();
    if (threadIdx.x == 0) {
      __threadfence();
      atomicAdd(arrivals, 1u);
      const unsigned expected = static_cast<unsigned>(round) * gridDim.x;
      while (*static_cast<volatile unsigned*>(arrivals) < expected) {
      }
      __threadfence();
    }
    __syncthreads();
  }
}

#if __CUDA_ARCH__ >= 900
/// The eight blocks of each cluster wait for each other rounds times.
extern "C" __global__ void __cluster_dims__(8, 1, 1) __launch_bounds__(256)
    cluster_barrier(int rounds) {
  for (int round = 0; round < rounds; round++) {
    asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;\n" ::: "memory");
  }
}
#endif
