// The second phase of sums that are split over blocks: partial results are added up in a fixed
// order.
//
//   sum[(n R + r) T + t] += sum_s partials[s * stride + (t R + r) N + n]
//
// which takes gradients of weights from the order that kernels make them in, (T taps, R rows, N
// columns), to the published one, (N, R, T). With T = R = 1 it is a sum of vectors.
//
// Shapes   partials (splits, stride) of float, of which the first T R N values of each split are
//          read; sum (N, R, T) of float, added to.
// Launch   one thread for each value and eighth of the splits: grid = ceil(T R N / 32),
//          block = (32, 8).
// Traffic  4 * splits * T * R * N bytes read, 8 * T * R * N of sum read and written.
// Numerics sums in double, rounded once; the order depends on the number of splits alone.
// Launcher org.unetrpp.backend.cuda.PartialSums#add
#include "common.cuh"

namespace {

constexpr int kSlices = 8;

}  // namespace

ENTRY(partial_sums_add, 256, const float* partials, float* sum, long long stride, int splits,
      int taps, int rows, int columns) {
  __shared__ double slices[kSlices][kWarpSize + 1];
  const long long count = static_cast<long long>(taps) * rows * columns;
  const long long i = static_cast<long long>(blockIdx.x) * kWarpSize + threadIdx.x;
  const int slice = threadIdx.y;

  double part = 0.0;
  if (i < count) {
    for (int split = slice; split < splits; split += kSlices) part += partials[split * stride + i];
  }
  slices[slice][threadIdx.x] = part;
  __syncthreads();
  if (slice > 0 || i >= count) return;

  double total = 0.0;
  for (int s = 0; s < kSlices; s++) total += slices[s][threadIdx.x];
  const long long column = i % columns;
  const long long row = i / columns % rows;
  const long long tap = i / columns / rows;
  float* const to = sum + (column * rows + row) * taps + tap;
  *to = static_cast<float>(*to + total);
}
