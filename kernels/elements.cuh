// Runs of values, shared out to threads kPack at a time.
#pragma once

#include "rows.cuh"

/// Loads kPack values, at once where they are aligned; zeros instead of those past the first left.
template <typename T>
__device__ __forceinline__ void load_run(const T* from, long long left, float (&values)[kPack]) {
  if (left >= kPack && reinterpret_cast<unsigned long long>(from) % sizeof(Pack<T, kPack>) == 0) {
    load_pack(from, values);
    return;
  }
#pragma unroll
  for (int v = 0; v < kPack; v++) values[v] = v < left ? to_float(from[v]) : 0.0f;
}

/// Stores the first left of kPack values, at once where their place is aligned.
template <typename T>
__device__ __forceinline__ void store_run(T* to, long long left, const float (&values)[kPack]) {
  if (left >= kPack && reinterpret_cast<unsigned long long>(to) % sizeof(Pack<T, kPack>) == 0) {
    store_pack(to, values);
    return;
  }
#pragma unroll
  for (int v = 0; v < kPack; v++) {
    if (v < left) to[v] = from_float<T>(values[v]);
  }
}

/// i / divisor, neither of them negative: in 32 bits where they fit, which is several times faster.
__device__ __forceinline__ long long quotient(long long i, long long divisor) {
  if ((i | divisor) >> 32 == 0) return static_cast<unsigned>(i) / static_cast<unsigned>(divisor);
  return i / divisor;
}

/// Loads kPack values from place i on of a sequence that repeats the first period values of from.
template <typename T>
__device__ __forceinline__ void load_repeating(const T* from, long long i, long long left,
                                               long long period, float (&values)[kPack]) {
  long long at = i < period ? i : i - quotient(i, period) * period;
  if (at + kPack <= period) {
    load_run(from + at, left, values);
    return;
  }
#pragma unroll
  for (int v = 0; v < kPack; v++) {
    values[v] = to_float(from[at]);
    at = at + 1 == period ? 0 : at + 1;
  }
}
