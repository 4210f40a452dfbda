// Convolution of volumes of at most 16 channels by 3x3x3, stride 1 and padding 1 on tensor cores,
// in bfloat16.
//
//   forward   y[b, v, n] = f(sum_{t, c} x[b, v - 1 + t, c] weight[n, c, t] + bias[n]
//             + addend[b, v, n]), f(s) = s where s > 0, else slope s; bias and addend may be
//             missing; with a slope of 1, f leaves all as it is
//   measured  y[b, v, n] = sum_{t, c} u[b, v - 1 + t, c] weight[n, c, t], u = x or, with a
//   prologue,
//             leaky_relu((x - mean[b, c]) scale[b, c]) rounded to bfloat16, which padding is not;
//             and the coefficients of a group normalization of y
//
// Shapes   x (B, D, H, W, C), y and addend (B, D, H, W, N) of bfloat16, aligned to 16 bytes, C and
//          N multiples of 8; bias (N), mean, scale (B, C) of float; weight packed by
//          tensor_convolution.cu, as for 16 channels of y at a time.
// Launch   as in narrow_convolution.cuh: grid = (parts of D x tiles of voxels, N / 16), block =
//          256, 53,760 bytes of dynamic shared memory, measured 61,952.
// Traffic  x is read 1.24 times, with parts of d planes (d + 2) / d times that, mostly from L2; y
//          is written once.
// Numerics as tensor_convolution.cu. The prologue rounds as the pass would that it replaces.
//          Moments are of y as it is stored: of a lane's at most 6 voxels of a plane in two passes,
//          merged by Chan's formula over planes, lanes, warps and tiles, in fixed order.
// Launcher org.unetrpp.backend.cuda.NarrowConvolutions
#include "narrow_convolution.cuh"

ENTRY(narrow_convolution_bf16, kNarrowThreads, const bfloat16* x, const uint4* weight, bfloat16* y,
      const float* bias, const bfloat16* addend, float slope, int depth, int height, int width,
      int in_channels, int out_channels, int depth_per_block) {
  require_tensor_cores();
  DYNAMIC_SHARED(uint4, planes);
  __shared__ Column column;
  Column::set(column, {depth, height, width}, depth_per_block);
  const AsTheyAre source = {x, column, in_channels};
  const Finished sink = {column, y, out_channels, {bias, addend, slope}};
  walk(column, weight, planes, source, sink);
}

ENTRY(narrow_convolution_measured_bf16, kNarrowThreads, const bfloat16* x,
      const float2* input_coefficients, float input_slope, const uint4* weight, bfloat16* y,
      STATISTICS_PARAMETERS, int depth, int height, int width, int in_channels, int out_channels,
      int depth_per_block) {
  require_tensor_cores();
  DYNAMIC_SHARED(uint4, planes);
  LaneMoments& lanes = *reinterpret_cast<LaneMoments*>(planes + Normalized::kPlanes * kPlaneQuads);
  __shared__ Column column;
  Column::set(column, {depth, height, width}, depth_per_block);
  const Normalized source = {x, column, in_channels, {input_coefficients, input_slope}};
  const Measured sink = {column, y, out_channels, lanes};
  walk(column, weight, planes, source, sink);
  sink.finish(reinterpret_cast<Moments*>(planes), STATISTICS);
}
