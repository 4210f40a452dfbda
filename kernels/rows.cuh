// Matrices with channels last, shared out to threads: which rows and which channels a thread takes,
// and what the threads of a block, or the lanes of a warp, make of their values together.
#pragma once

#include "common.cuh"

constexpr int kRowThreads = 256;  // of a block that walks rows
constexpr int kPack = 4;          // values that a thread loads and stores at once, if they allow it
constexpr int kRowsAtOnce = 4;    // of a thread whose loads are on their way together
constexpr int kPairsAtOnce = 2;   // the same where two matrices are read

template <typename T, int V>
struct alignas(sizeof(T) * V) Pack {
  T values[V];
};

/// Loads V values; from is aligned to all of them.
template <typename T, int V>
__device__ __forceinline__ void load_pack(const T* from, float (&values)[V]) {
  const Pack<T, V> pack = *reinterpret_cast<const Pack<T, V>*>(from);
#pragma unroll
  for (int v = 0; v < V; v++) values[v] = to_float(pack.values[v]);
}

/// Stores V values; to is aligned to all of them.
template <typename T, int V>
__device__ __forceinline__ void store_pack(T* to, const float (&values)[V]) {
  Pack<T, V> pack;
#pragma unroll
  for (int v = 0; v < V; v++) pack.values[v] = from_float<T>(values[v]);
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

/// Loads V values that may lie anywhere; without any, all are otherwise.
template <int V>
__device__ __forceinline__ void load_parameters(const float* from, float otherwise,
                                                float (&values)[V]) {
#pragma unroll
  for (int v = 0; v < V; v++) values[v] = from == nullptr ? otherwise : from[v];
}

/// What a thread takes of a matrix: V neighboring channels of every lanes-th row of its block's
/// chunk, beginning with row lane of it. Grid (tiles of channels, chunks of rows, items), block
/// (kRowThreads).
template <int V>
struct RowWalk {
  long long first;  // row that the chunk begins with
  int rows;         // of the chunk; none for a thread without channels
  int lane, lanes;  // which of the rows that a block takes at once, and how many these are
  int across;       // threads next to each other in a row
  int channel;      // first of V
  bool works;       // whether there are channels for this thread

  __device__ __forceinline__ RowWalk(long long all_rows, int chunk, int channels) {
    const int packs = channels / V;
    const int thread = threadIdx.x;
    across = min(packs, kRowThreads);
    lane = thread / across;
    lanes = kRowThreads / across;
    const long long pack = static_cast<long long>(blockIdx.x) * across + thread % across;
    works = lane < lanes && pack < packs;
    channel = works ? static_cast<int>(pack) * V : 0;
    first = static_cast<long long>(blockIdx.y) * chunk;
    rows = works ? static_cast<int>(min(all_rows - first, static_cast<long long>(chunk))) : 0;
  }

  /// Place of the thread's first value in a matrix with rows a stride apart.
  __device__ __forceinline__ long long start(long long stride) const {
    return (first + lane) * stride + channel;
  }
};

/// Adds up what the lanes of a block hold of the same channels; lane 0 gets it. All threads must
/// call it. scratch holds V * kRowThreads states in shared memory.
template <int V, typename State>
__device__ __forceinline__ void add_lanes(State (&states)[V], const RowWalk<V>& walk,
                                          State* scratch) {
  State* own = scratch + threadIdx.x;
#pragma unroll
  for (int v = 0; v < V; v++) own[v * kRowThreads] = states[v];
  __syncthreads();
  // from the largest power of two below lanes on
  for (int half = walk.lanes > 1 ? 1 << (31 - __clz(walk.lanes - 1)) : 0; half > 0; half /= 2) {
    if (walk.lane < half && walk.lane + half < walk.lanes) {
#pragma unroll
      for (int v = 0; v < V; v++) {
        states[v].add(own[v * kRowThreads + half * walk.across]);
        own[v * kRowThreads] = states[v];
      }
    }
    __syncthreads();
  }
}

/// A sum, as add_lanes takes it.
struct Sum {
  float value;

  __device__ __forceinline__ void add(const Sum& other) { value += other.value; }
};

/// Sum over each run of width lanes, a power of two; every lane gets that of its own. All lanes of
/// the warp must call it.
__device__ __forceinline__ float lanes_sum(float value, int width) {
  for (int offset = width / 2; offset > 0; offset /= 2) {
    value += __shfl_xor_sync(kAllLanes, value, offset);
  }
  return value;
}

/// As lanes_sum, the largest.
__device__ __forceinline__ float lanes_max(float value, int width) {
  for (int offset = width / 2; offset > 0; offset /= 2) {
    value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, offset));
  }
  return value;
}

/// Sum of one column of (rows, columns), by a warp whose lanes all call it; every lane gets it.
__device__ __forceinline__ float warp_column_sum(const float* values, int rows, long long columns,
                                                 long long column) {
  float sum = 0.0f;
  for (int row = threadIdx.x; row < rows; row += kWarpSize) sum += values[row * columns + column];
  return warp_sum(sum);
}
