package org.unetrpp.backend.cuda.natives;

import jcuda.JCudaVersion;

/** A library of NVIDIA's, with the part of JCuda that calls it. */
public enum CudaLibrary {
  DRIVER("the NVIDIA driver", "cuda", 1, "jcuda.driver.JCudaDriver", "jcuda-natives"),
  NVRTC("NVRTC", "nvrtc", 12, "jcuda.nvrtc.JNvrtc", "jcuda-natives"),
  CUBLAS("cuBLAS", "cublas", 12, "jcuda.jcublas.JCublas2", "jcublas-natives"),
  CUDNN("cuDNN", "cudnn", 8, "jcuda.jcudnn.JCudnn", "jcudnn-natives");

  /** JCudnn of 11.7 is the newest and asks for a native part with the version of JCuda. */
  private static final String CUDNN_BINDING_VERSION = "11.7.0";

  private final String title;
  private final String stem;
  private final int boundMajor;
  private final String bindingClass;
  private final String artifact;

  CudaLibrary(String title, String stem, int boundMajor, String bindingClass, String artifact) {
    this.title = title;
    this.stem = stem;
    this.boundMajor = boundMajor;
    this.bindingClass = bindingClass;
    this.artifact = artifact;
  }

  /** Name for people. */
  public String title() {
    return title;
  }

  /** Name that programs ask the loader for, as in {@code libcublas.so.13}. */
  String soname(int major) {
    return "lib" + stem + ".so." + major;
  }

  /** The major version that JCuda's native part was linked with. */
  int boundMajor() {
    return boundMajor;
  }

  /** The major versions that go with a major version of CUDA, the best first. */
  int[] majors(int cudaMajor) {
    return switch (this) {
      case DRIVER -> new int[] {1};
      case NVRTC, CUBLAS -> new int[] {cudaMajor};
      case CUDNN -> cudaMajor == 12 ? new int[] {9, 8} : new int[] {9};
    };
  }

  /** JCuda's class of calls. */
  String bindingClass() {
    return bindingClass;
  }

  /** JCuda's native part within its jar. */
  String bindingResource() {
    return "lib/lib%s-%s-linux-x86_64.so".formatted(bindingName(), bindingVersion());
  }

  /** File that JCuda's class of calls loads. */
  String bindingFile() {
    return "lib%s-%s-linux-x86_64.so".formatted(bindingName(), JCudaVersion.get());
  }

  /** The jar of JCuda's native part, as Maven calls it. */
  String bindingArtifact() {
    return "org.jcuda:%s:%s:linux-x86_64".formatted(artifact, bindingVersion());
  }

  private String bindingName() {
    return bindingClass.substring(bindingClass.lastIndexOf('.') + 1);
  }

  private String bindingVersion() {
    return this == CUDNN ? CUDNN_BINDING_VERSION : JCudaVersion.get();
  }
}
