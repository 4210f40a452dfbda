// Updates of parameters, and the length of their gradients.
//
//   sum_of_squares  sum_i x[i]^2
//   sgd             g = s gradient + d value          velocity = m velocity + g
//                   value -= l (g + m velocity)       (Nesterov's momentum)
//   adam_w          g = s gradient                    (Loshchilov and Hutter 2019, algorithm 2)
//                   first = b1 first + (1 - b1) g     second = b2 second + (1 - b2) g^2
//                   value -= l (d value + c1 first / (sqrt(c2 second) + epsilon))
//                   c1 = 1 / (1 - b1^step)            c2 = 1 / (1 - b2^step)
//
// Shapes   x (count) of T; values, gradients, velocity, first, second (count) of float; partials
//          (blocks) of double, which the host adds up.
// Launch   sgd, adam_w: four neighbors per thread: grid = ceil(count / 1024), block = 256.
//          sum_of_squares: any grid, block = 256.
// Traffic  in count * 4 bytes: sgd 5, adam_w 7; sum_of_squares count * sizeof(T) bytes.
// Numerics updates in float; squares and their sum in double, which no float overflows.
// Launcher org.unetrpp.backend.cuda.OptimizerKernels
#include "elements.cuh"

namespace {

template <typename T>
__device__ __forceinline__ void sum_of_squares(const T* x, double* partials, long long count,
                                               double* scratch) {
  const long long step = static_cast<long long>(gridDim.x) * blockDim.x * kPack;
  double sum = 0.0;
  for (long long i = thread_in_grid() * kPack; i < count; i += step) {
    float values[kPack];
    load_run(x + i, count - i, values);
#pragma unroll
    for (int v = 0; v < kPack; v++) sum += static_cast<double>(values[v]) * values[v];
  }
  sum = block_sum(sum, scratch);
  if (threadIdx.x == 0) partials[blockIdx.x] = sum;
}

}  // namespace

#define SUM_OF_SQUARES(suffix, T)                                                      \
  ENTRY(sum_of_squares_##suffix, 256, const T* x, double* partials, long long count) { \
    __shared__ double scratch[kWarpSize + 1];                                          \
    sum_of_squares<T>(x, partials, count, scratch);                                    \
  }

SUM_OF_SQUARES(f32, float)
SUM_OF_SQUARES(bf16, bfloat16)

ENTRY(sgd, 256, float* values, const float* __restrict__ gradients, float* velocity,
      long long count, float rate, float momentum, float decay, float scale) {
  const long long i = thread_in_grid() * kPack;
  float value[kPack];
  float gradient[kPack];
  float speed[kPack];
  load_run(values + i, count - i, value);
  load_run(gradients + i, count - i, gradient);
  load_run(velocity + i, count - i, speed);
#pragma unroll
  for (int v = 0; v < kPack; v++) {
    const float g = scale * gradient[v] + decay * value[v];
    speed[v] = momentum * speed[v] + g;
    value[v] -= rate * (g + momentum * speed[v]);
  }
  store_run(values + i, count - i, value);
  store_run(velocity + i, count - i, speed);
}

ENTRY(adam_w, 256, float* values, const float* __restrict__ gradients, float* first, float* second,
      long long count, float rate, float keep1, float take1, float keep2, float take2,
      float correction1, float correction2, float epsilon, float decay, float scale) {
  const long long i = thread_in_grid() * kPack;
  float value[kPack];
  float gradient[kPack];
  float mean[kPack];
  float square[kPack];
  load_run(values + i, count - i, value);
  load_run(gradients + i, count - i, gradient);
  load_run(first + i, count - i, mean);
  load_run(second + i, count - i, square);
#pragma unroll
  for (int v = 0; v < kPack; v++) {
    const float g = scale * gradient[v];
    mean[v] = keep1 * mean[v] + take1 * g;
    square[v] = keep2 * square[v] + take2 * g * g;
    const float step = correction1 * mean[v] / (sqrtf(correction2 * square[v]) + epsilon);
    value[v] -= rate * (decay * value[v] + step);
  }
  store_run(values + i, count - i, value);
  store_run(first + i, count - i, mean);
  store_run(second + i, count - i, square);
}
