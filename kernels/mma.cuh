// Products of small matrices on tensor cores, and what feeds them: the only inline PTX of the
// kernels. On the host each function does the same lane by lane.
//
// A warp multiplies a matrix a (16 x 16) with a matrix b (16 x 8). With group = lane / 4 and
// quarter = lane % 4, a lane holds (PTX ISA, mma.m16n8k16), two bfloat16 in a register, the one of
// the lower index in its lower half:
//
//   a[0]  row group      columns 2 quarter, 2 quarter + 1      b0  rows 2 quarter, 2 quarter + 1
//   a[1]  row group + 8  the same                                  column group
//   a[2]  row group      columns 2 quarter + 8 and + 9         b1  rows 2 quarter + 8 and + 9
//   a[3]  row group + 8  the same                                  column group
//   c[0], c[1]  row group      columns 2 quarter, 2 quarter + 1
//   c[2], c[3]  row group + 8  the same
//
// Numerics products of bfloat16 are exact in float. The host adds them to c one after the other in
//          the order of the inner index, each time rounded to the nearest; tensor cores add several
//          at once and cut off bits below those of the largest, so that results differ by some
//          2^-23 of the sum of absolute products.
// Needs    compute capability 8.0 for multiply_add; 7.5 copies at once what 8.0 copies meanwhile.
#pragma once

#include "common.cuh"

#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ < 800
constexpr bool kHasTensorCores = false;
#else
constexpr bool kHasTensorCores = true;  // that multiply bfloat16
#endif

/// Two values rounded to bfloat16 in a register, the first in its lower half.
__device__ __forceinline__ unsigned pack_pair(float lower, float upper) {
#if defined(__CUDA_ARCH__) && __CUDA_ARCH__ >= 800
  unsigned pair;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(pair) : "f"(upper), "f"(lower));
  return pair;
#else
  return from_float<bfloat16>(lower).bits | static_cast<unsigned>(from_float<bfloat16>(upper).bits)
                                                << 16;
#endif
}

/// 2^x, with a relative error of some 2^-22; zero instead of what is less than 2^-126.
__device__ __forceinline__ float power_of_two(float x) {
#ifdef __CUDACC__
  float power;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(power) : "f"(x));
  return power;
#else
  return exp2f(x);
#endif
}

/// Ends a kernel that needs them where there are none.
__device__ __forceinline__ void require_tensor_cores() {
#ifdef __CUDACC__
  if (!kHasTensorCores) __trap();
#endif
}

#ifdef __CUDACC__

/// c += a b. All lanes of a warp must call it.
__device__ __forceinline__ void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0,
                                             unsigned b1) {
#if __CUDA_ARCH__ >= 800
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 "
      "{%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
#else
  __trap();
#endif
}

__device__ __forceinline__ unsigned shared_address(const void* shared) {
  return static_cast<unsigned>(__cvta_generic_to_shared(shared));
}

/// Loads four 8 x 8 matrices of bfloat16 from shared memory. Lane l says where row l % 8 of matrix
/// l / 8 is, 16 bytes at an address that is a multiple of that. matrices[i] of a lane is row group,
/// columns 2 quarter and 2 quarter + 1 of matrix i. All lanes of a warp must call it.
__device__ __forceinline__ void load_matrices(unsigned (&matrices)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(shared_address(row))
               : "memory");
}

/// The same with each matrix transposed: a lane gets rows 2 quarter and 2 quarter + 1, column
/// group.
__device__ __forceinline__ void load_matrices_transposed(unsigned (&matrices)[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(matrices[0]), "=r"(matrices[1]), "=r"(matrices[2]), "=r"(matrices[3])
               : "r"(shared_address(row))
               : "memory");
}

/// Begins to copy 4 or 8 bytes from global to shared memory, as copy_16_bytes.
template <int kBytes>
__device__ __forceinline__ void copy_few_bytes(void* to_shared, const void* from, bool is_there) {
  static_assert(kBytes == 4 || kBytes == 8, "what is copied at once");
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;"
               :
               : "r"(shared_address(to_shared)), "l"(__cvta_generic_to_global(from)), "n"(kBytes),
                 "r"(is_there ? kBytes : 0)
               : "memory");
#else
  const unsigned* const words = static_cast<const unsigned*>(from);
  for (int i = 0; i < kBytes / 4; i++)
    static_cast<unsigned*>(to_shared)[i] = is_there ? words[i] : 0;
#endif
}

/// Begins to copy 16 bytes from global to shared memory; zeros, if they are not there, and then
/// from is not read but must be an address of global memory. Both are multiples of 16.
__device__ __forceinline__ void copy_16_bytes(void* to_shared, const void* from, bool is_there) {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;"
               :
               : "r"(shared_address(to_shared)), "l"(__cvta_generic_to_global(from)),
                 "r"(is_there ? 16 : 0)
               : "memory");
#else
  *static_cast<uint4*>(to_shared) =
      is_there ? *static_cast<const uint4*>(from) : make_uint4(0, 0, 0, 0);
#endif
}

/// Ends a group of the copies that this thread began.
__device__ __forceinline__ void end_copy_group() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.commit_group;" : : : "memory");
#endif
}

/// Waits until all but the last kPending groups of this thread's copies are there. Others see them
/// behind a barrier.
template <int kPending>
__device__ __forceinline__ void wait_for_copies() {
#if __CUDA_ARCH__ >= 800
  asm volatile("cp.async.wait_group %0;" : : "n"(kPending) : "memory");
#endif
}

/// Begins to bring the line of L2 that has an address of global memory there.
__device__ __forceinline__ void prefetch(const void* address) {
  asm volatile("prefetch.global.L2 [%0];" : : "l"(__cvta_generic_to_global(address)));
}

#else

struct Factors {
  unsigned a[4], b[2];
};

inline void multiply_add(float (&c)[4], const unsigned (&a)[4], unsigned b0, unsigned b1) {
  const emulation::Given<Factors> given =
      emulation::exchange_all(Factors{{a[0], a[1], a[2], a[3]}, {b0, b1}});
  const int group = given.lane() / 4;
  const int quarter = given.lane() % 4;
  const auto half = [](unsigned pair, int upper) {
    return __uint_as_float(upper ? pair & 0xffff0000u : pair << 16);
  };
  for (int k = 0; k < 16; k++) {
    const int owner = k / 2 % 4;  // quarter that has the inner index k
    const unsigned* const left = given.of(group * 4 + owner).a + k / 8 * 2;
    for (int j = 0; j < 2; j++) {
      const int column = quarter * 2 + j;
      const float factor = half(given.of(column * 4 + owner).b[k / 8], k % 2);
      c[j] += half(left[0], k % 2) * factor;
      c[2 + j] += half(left[1], k % 2) * factor;
    }
  }
}

inline void load_matrices(unsigned (&matrices)[4], const void* row) {
  const auto given = emulation::exchange_all(*static_cast<const uint4*>(row));
  for (int i = 0; i < 4; i++) {
    const uint4& source = given.of(i * 8 + given.lane() / 4);
    matrices[i] = (&source.x)[given.lane() % 4];
  }
}

inline void load_matrices_transposed(unsigned (&matrices)[4], const void* row) {
  const auto given = emulation::exchange_all(*static_cast<const uint4*>(row));
  const int column = given.lane() / 4;
  const auto value = [&](int matrix, int of_row) {
    const uint4& source = given.of(matrix * 8 + of_row);
    return (&source.x)[column / 2] >> column % 2 * 16 & 0xffffu;
  };
  for (int i = 0; i < 4; i++) {
    const int first = given.lane() % 4 * 2;
    matrices[i] = value(i, first) | value(i, first + 1) << 16;
  }
}

template <int kBytes>
inline void copy_few_bytes(void* to_shared, const void* from, bool is_there) {
  emulation::begin_copy(to_shared, is_there ? from : nullptr, kBytes);
}

inline void copy_16_bytes(void* to_shared, const void* from, bool is_there) {
  emulation::begin_copy(to_shared, is_there ? from : nullptr, 16);
}

inline void end_copy_group() { emulation::end_copy_group(); }

template <int kPending>
inline void wait_for_copies() {
  emulation::wait_for_copies(kPending);
}

inline void prefetch(const void*) {}

#endif
