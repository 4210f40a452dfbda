// Kernels that show what an emulated device does; tests only.
#include "mma.cuh"

/// Each kind of argument, as numbers.
ENTRY(probe_arguments, 32, const float* buffer, const float* none, int small, long long large,
      float single, double precise, double* result) {
  if (threadIdx.x != 0) return;
  result[0] = buffer[0];
  result[1] = none == nullptr;
  result[2] = small;
  result[3] = static_cast<double>(large);
  result[4] = single;
  result[5] = precise;
}

/// Numbers the threads of a grid of three axes in the order of its blocks.
ENTRY(probe_geometry, 256, float* y) {
  const int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  const int number = block * block_threads() + thread_in_block();
  y[number] = static_cast<float>(number);
}

/// x[at] to y[0].
ENTRY(probe_read, 32, const float* x, long long at, float* y) {
  if (threadIdx.x == 0) y[0] = x[at];
}

/// value to x[at].
ENTRY(probe_write, 32, float* x, long long at, float value) {
  if (threadIdx.x == 0) x[at] = value;
}

/// y = scale * y + x, of one block.
ENTRY(probe_step, 256, const float* x, float* y, float scale, int count) {
  for (int i = threadIdx.x; i < count; i += blockDim.x) y[i] = scale * y[i] + x[i];
}

/// What dynamic shared memory holds at first.
ENTRY(probe_shared, 256, float* y) {
  DYNAMIC_SHARED(float, fresh);
  y[threadIdx.x] = fresh[threadIdx.x];
  fresh[threadIdx.x] = 0.0f;
}

/// The sum of the block's thread numbers, by every thread.
ENTRY(probe_sum, 256, float* y) {
  __shared__ float scratch[33];
  y[threadIdx.x] = block_sum(static_cast<float>(threadIdx.x), scratch);
}

/// One lane waits for its warp, which waits for the block.
ENTRY(probe_divergence, 64, float* y) {
  float value = 1.0f;
  if (threadIdx.x == 0) {
    value = warp_sum(value);
  } else {
    __syncthreads();
  }
  y[threadIdx.x] = value;
}

/// Each thread reads what its neighbor wrote, without waiting for it.
ENTRY(probe_race, 64, float* y) {
  __shared__ float values[64];
  values[threadIdx.x] = static_cast<float>(threadIdx.x);
  y[threadIdx.x] = values[(threadIdx.x + 1) % blockDim.x];
}

/// What declared shared memory holds at first.
ENTRY(probe_declared, 64, float* y) {
  __shared__ float fresh[64];
  y[blockIdx.x * blockDim.x + threadIdx.x] = fresh[threadIdx.x];
  fresh[threadIdx.x] = 0.0f;
}

/// y[0] = the sum of four values from x[at] on, loaded at once.
ENTRY(probe_vector, 32, const float* x, int at, float* y) {
  const float4 four = *reinterpret_cast<const float4*>(x + at);
  if (threadIdx.x == 0) y[0] = four.x + four.y + four.z + four.w;
}

/// The value at an index of declared shared memory of 8 values.
ENTRY(probe_index, 32, int index, float* y) {
  __shared__ float values[8];
  if (threadIdx.x < 8) values[threadIdx.x] = static_cast<float>(threadIdx.x);
  __syncthreads();
  y[0] = values[index];
}

/// An offset of 32 bits.
ENTRY(probe_offset, 32, int rows, int columns, float* y) {
  y[0] = static_cast<float>(rows * columns);
}

/// Each lane's neighbor's number; the last lane leaves before.
ENTRY(probe_gone, 32, float* y) {
  y[threadIdx.x] = -1.0f;
  if (threadIdx.x == 31) return;
  y[threadIdx.x] = __shfl_down_sync(kAllLanes, static_cast<float>(threadIdx.x), 1);
}

/// c += a b by one warp, a (16, 16) and b (16, 8) and c (16, 8) row after row. The lanes' registers
/// are filled by the definition of their layout.
ENTRY(probe_multiply_add, 32, const bfloat16* a, const bfloat16* b, float* c) {
  const int group = threadIdx.x / 4;
  const int quarter = threadIdx.x % 4;
  const auto pair = [](bfloat16 lower, bfloat16 upper) {
    return lower.bits | static_cast<unsigned>(upper.bits) << 16;
  };
  unsigned left[4];
  for (int i = 0; i < 4; i++) {
    const bfloat16* const from = a + (group + i % 2 * 8) * 16 + quarter * 2 + i / 2 * 8;
    left[i] = pair(from[0], from[1]);
  }
  unsigned right[2];
  for (int i = 0; i < 2; i++) {
    const bfloat16* const from = b + (quarter * 2 + i * 8) * 8 + group;
    right[i] = pair(from[0], from[8]);
  }
  float sums[4];
  for (int i = 0; i < 4; i++) sums[i] = c[(group + i / 2 * 8) * 8 + quarter * 2 + i % 2];
  multiply_add(sums, left, right[0], right[1]);
  for (int i = 0; i < 4; i++) c[(group + i / 2 * 8) * 8 + quarter * 2 + i % 2] = sums[i];
}

/// The four registers of each lane after it loaded the four matrices that lie in x behind each
/// other; the rows of each in reverse, if asked for.
ENTRY(probe_matrices, 32, const bfloat16* x, int transposed, int reversed, unsigned* y) {
  __shared__ uint4 rows[32];
  rows[threadIdx.x] = reinterpret_cast<const uint4*>(x)[threadIdx.x];
  __syncthreads();
  const int row = reversed ? threadIdx.x ^ 7 : threadIdx.x;
  unsigned matrices[4];
  if (transposed) {
    load_matrices_transposed(matrices, rows + row);
  } else {
    load_matrices(matrices, rows + row);
  }
  rows[threadIdx.x] = make_uint4(0, 0, 0, 0);  // after the whole warp has read
  for (int i = 0; i < 4; i++) y[i * 32 + threadIdx.x] = matrices[i];
}

/// Copies what each of three groups reads, 32 times four values, and stores each behind a wait for
/// it and a barrier; of the second group, the upper half is not there. Without waiting, if asked
/// for.
ENTRY(probe_copies, 32, const float* x, float* y, int waiting) {
  __shared__ uint4 copied[3][32];
  const uint4* const from = reinterpret_cast<const uint4*>(x);
  const int thread = threadIdx.x;
  for (int group = 0; group < 3; group++) {
    copy_16_bytes(&copied[group][thread], from + group * 32 + thread, group != 1 || thread < 16);
    end_copy_group();
  }
  uint4* const to = reinterpret_cast<uint4*>(y);
  const auto store = [&](int group) {
    __syncthreads();
    to[group * 32 + thread] = copied[group][thread ^ 1];
  };
  if (waiting) wait_for_copies<2>();
  store(0);
  if (waiting) wait_for_copies<1>();
  store(1);
  if (waiting) wait_for_copies<0>();
  store(2);
}

/// Copies 32 times four and 32 times eight bytes, where they are there; and rounds pairs of values.
ENTRY(probe_small_copies, 32, const float* x, float* y, unsigned* pairs, int there) {
  __shared__ uint2 aligned[3 * 32 / 2];
  float* const copied = reinterpret_cast<float*>(aligned);
  const int thread = threadIdx.x;
  copy_few_bytes<4>(copied + thread, x + thread, thread < there);
  copy_few_bytes<8>(copied + 32 + thread * 2, x + 32 + thread * 2, thread < there);
  end_copy_group();
  wait_for_copies<0>();
  __syncthreads();
  for (int i = 0; i < 3; i++) y[i * 32 + thread] = copied[i * 32 + (thread ^ 1)];
  pairs[thread] = pack_pair(x[thread * 2], x[thread * 2 + 1]);
}
