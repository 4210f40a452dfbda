package org.unetrpp.backend.cuda.driver;

import static java.nio.charset.StandardCharsets.US_ASCII;

import java.util.Arrays;
import java.util.stream.Collectors;
import jcuda.nvrtc.JNvrtc;
import jcuda.nvrtc.nvrtcProgram;
import jcuda.nvrtc.nvrtcResult;
import org.unetrpp.backend.cuda.natives.CudaLibraries;
import org.unetrpp.backend.cuda.natives.CudaLibrary;
import org.unetrpp.backend.cuda.natives.LibraryStatus;

/** Compiles kernel files by NVRTC, NVIDIA's compiler as a library. */
final class NvrtcCompiler implements KernelCompiler {
  private static final int LOG_LINES = 8;

  private final String version;
  private final CompileTarget target;

  private NvrtcCompiler(String version, CompileTarget target) {
    this.version = version;
    this.target = target;
  }

  /**
   * The compiler for a device.
   *
   * @throws CudaException if NVRTC cannot be used on this machine
   */
  static NvrtcCompiler forDevice(DeviceProperties device, CudaLibraries libraries) {
    LibraryStatus status = libraries.use(CudaLibrary.NVRTC);
    if (!status.isUsable()) {
      throw new CudaException(status.toString());
    }
    int[] count = new int[1];
    check(JNvrtc.nvrtcGetNumSupportedArchs(count), "nvrtcGetNumSupportedArchs");
    int[] supported = new int[count[0]];
    check(JNvrtc.nvrtcGetSupportedArchs(supported), "nvrtcGetSupportedArchs");
    return new NvrtcCompiler(
        String.valueOf(status.version()),
        CompileTarget.of(10 * device.major() + device.minor(), supported));
  }

  @Override
  public String identity() {
    return "NVRTC " + version + " " + String.join(" ", options());
  }

  private String[] options() {
    return new String[] {"--gpu-architecture=" + target, "-std=c++17"};
  }

  @Override
  public byte[] compile(KernelSource source) {
    nvrtcProgram program = new nvrtcProgram();
    String[] names = source.headers().keySet().toArray(String[]::new);
    String[] texts = source.headers().values().toArray(String[]::new);
    check(
        JNvrtc.nvrtcCreateProgram(
            program, source.text(), source.name() + ".cu", names.length, texts, names),
        "nvrtcCreateProgram");
    try {
      String[] options = options();
      int result = JNvrtc.nvrtcCompileProgram(program, options.length, options);
      if (result != nvrtcResult.NVRTC_SUCCESS) {
        throw new CudaException(
            "%s: %s".formatted(JNvrtc.nvrtcGetErrorString(result), log(program)));
      }
      return target.finished() ? machineCode(program) : intermediateCode(program);
    } finally {
      JNvrtc.nvrtcDestroyProgram(program);
    }
  }

  private static byte[] machineCode(nvrtcProgram program) {
    long[] bytes = new long[1];
    check(JNvrtc.nvrtcGetCUBINSize(program, bytes), "nvrtcGetCUBINSize");
    byte[] image = new byte[Math.toIntExact(bytes[0])];
    check(JNvrtc.nvrtcGetCUBIN(program, image), "nvrtcGetCUBIN");
    return image;
  }

  /** The driver wants a zero at its end. */
  private static byte[] intermediateCode(nvrtcProgram program) {
    String[] text = new String[1];
    check(JNvrtc.nvrtcGetPTX(program, text), "nvrtcGetPTX");
    byte[] code = text[0].getBytes(US_ASCII);
    return Arrays.copyOf(code, code.length + 1);
  }

  private static String log(nvrtcProgram program) {
    String[] log = new String[1];
    int result = JNvrtc.nvrtcGetProgramLog(program, log);
    return result != nvrtcResult.NVRTC_SUCCESS || log[0] == null
        ? "it does not say why"
        : log[0].lines().limit(LOG_LINES).collect(Collectors.joining(" | ")).strip();
  }

  private static void check(int result, String call) {
    if (result != nvrtcResult.NVRTC_SUCCESS) {
      throw new CudaException(call + ": " + JNvrtc.nvrtcGetErrorString(result));
    }
  }
}
