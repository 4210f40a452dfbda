// Softmax of each row, and its gradient.
//
//   forward   y[r,c] = exp(x[r,c] - max_c x[r,c]) / sum_c exp(x[r,c] - max_c x[r,c])
//   backward  dx[r,c] = y[r,c] * (dy[r,c] - sum_c dy[r,c] y[r,c])
//
// Shapes   x, y, dy, dx (rows, columns) of T; y may be x, dx may be dy.
// Launch   lanes threads per row, a power of two up to a warp, each with 4 columns at a time, or 1
//          where they do not come in fours: grid = ceil(rows * lanes / 256), block = 256.
// Traffic  forward 2, backward 3 * rows * columns * sizeof(T) bytes. Rows of up to 4 * lanes
//          columns stay in registers; longer ones are read again for each of the passes, from L1.
// Numerics in float for every T; sums over the lanes as a tree.
// Launcher org.unetrpp.backend.cuda.SoftmaxKernels
#include "rows.cuh"

namespace {

/// Row of a thread; threads behind the last row stay with it, so that shuffles stay legal.
struct RowOfLanes {
  long long row;
  int lane;
  bool exists;

  __device__ __forceinline__ RowOfLanes(long long rows, int lanes) {
    const long long own = thread_in_grid() >> (31 - __clz(lanes));
    lane = threadIdx.x & (lanes - 1);
    exists = own < rows;
    row = exists ? own : rows - 1;
  }
};

/// kHeld: a lane has one pack at most, and keeps it.
template <typename T, int V, bool kHeld>
__device__ __forceinline__ void softmax_forward(const T* x, T* y, long long rows, int columns,
                                                int lanes) {
  const RowOfLanes own(rows, lanes);
  const T* x_row = x + own.row * columns;
  T* y_row = y + own.row * columns;
  const int begin = own.lane * V;
  const int step = lanes * V;
  float values[V];

  float largest = -kLargest;
  for (int c = begin; c < columns; c += step) {
    load_pack(x_row + c, values);
#pragma unroll
    for (int v = 0; v < V; v++) largest = fmaxf(largest, values[v]);
    if (kHeld) break;
  }
  largest = lanes_max(largest, lanes);

  float sum = 0.0f;
  for (int c = begin; c < columns; c += step) {
    if (!kHeld) load_pack(x_row + c, values);
#pragma unroll
    for (int v = 0; v < V; v++) {
      values[v] = expf(values[v] - largest);
      sum += values[v];
    }
    if (kHeld) break;
  }
  const float inverse = 1.0f / lanes_sum(sum, lanes);

  if (!own.exists) return;
  for (int c = begin; c < columns; c += step) {
    if (!kHeld) load_pack(x_row + c, values);
#pragma unroll
    for (int v = 0; v < V; v++) {
      values[v] = (kHeld ? values[v] : expf(values[v] - largest)) * inverse;
    }
    store_pack(y_row + c, values);
    if (kHeld) break;
  }
}

template <typename T, int V, bool kHeld>
__device__ __forceinline__ void softmax_backward(const T* dy, const T* y, T* dx, long long rows,
                                                 int columns, int lanes) {
  const RowOfLanes own(rows, lanes);
  const T* dy_row = dy + own.row * columns;
  const T* y_row = y + own.row * columns;
  T* dx_row = dx + own.row * columns;
  const int begin = own.lane * V;
  const int step = lanes * V;
  float outputs[V], gradients[V];

  float sum = 0.0f;
  for (int c = begin; c < columns; c += step) {
    load_pack(y_row + c, outputs);
    load_pack(dy_row + c, gradients);
#pragma unroll
    for (int v = 0; v < V; v++) sum += gradients[v] * outputs[v];
    if (kHeld) break;
  }
  sum = lanes_sum(sum, lanes);

  if (!own.exists) return;
  for (int c = begin; c < columns; c += step) {
    if (!kHeld) {
      load_pack(y_row + c, outputs);
      load_pack(dy_row + c, gradients);
    }
#pragma unroll
    for (int v = 0; v < V; v++) gradients[v] = outputs[v] * (gradients[v] - sum);
    store_pack(dx_row + c, gradients);
    if (kHeld) break;
  }
}

}  // namespace

#define SOFTMAX(suffix, T)                                                                       \
  ENTRY(softmax_forward_##suffix, 256, const T* x, T* y, long long rows, int columns, int lanes, \
        int packed) {                                                                            \
    if (packed) {                                                                                \
      if (columns <= kPack * lanes) {                                                            \
        softmax_forward<T, kPack, true>(x, y, rows, columns, lanes);                             \
      } else {                                                                                   \
        softmax_forward<T, kPack, false>(x, y, rows, columns, lanes);                            \
      }                                                                                          \
    } else if (columns <= lanes) {                                                               \
      softmax_forward<T, 1, true>(x, y, rows, columns, lanes);                                   \
    } else {                                                                                     \
      softmax_forward<T, 1, false>(x, y, rows, columns, lanes);                                  \
    }                                                                                            \
  }                                                                                              \
  ENTRY(softmax_backward_##suffix, 256, const T* dy, const T* y, T* dx, long long rows,          \
        int columns, int lanes, int packed) {                                                    \
    if (packed) {                                                                                \
      if (columns <= kPack * lanes) {                                                            \
        softmax_backward<T, kPack, true>(dy, y, dx, rows, columns, lanes);                       \
      } else {                                                                                   \
        softmax_backward<T, kPack, false>(dy, y, dx, rows, columns, lanes);                      \
      }                                                                                          \
    } else if (columns <= lanes) {                                                               \
      softmax_backward<T, 1, true>(dy, y, dx, rows, columns, lanes);                             \
    } else {                                                                                     \
      softmax_backward<T, 1, false>(dy, y, dx, rows, columns, lanes);                            \
    }                                                                                            \
  }

SOFTMAX(f32, float)
SOFTMAX(bf16, bfloat16)
