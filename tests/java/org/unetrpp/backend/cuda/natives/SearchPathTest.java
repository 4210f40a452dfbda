package org.unetrpp.backend.cuda.natives;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SearchPathTest {
  @TempDir Path root;

  private final Map<String, String> environment = new HashMap<>();
  private String named = "";

  private Path folder(String name) throws IOException {
    return Files.createDirectories(root.resolve(name));
  }

  private SearchPath path() {
    return new SearchPath(root, environment, root.resolve("home/me").toString(), named);
  }

  private List<String> folders() {
    return path().folders().stream().map(path -> root.relativize(path).toString()).toList();
  }

  @Test
  void foldersAreAskedInTheOrderThatIsPromised() throws IOException {
    String packages = "lib/python3.12/site-packages/nvidia/";
    folder("usr/lib/python3/dist-packages/nvidia/cudnn/lib");
    folder("home/me/.local/" + packages + "cublas/lib");
    folder("venv/" + packages + "cu13/lib");
    folder("venv/" + packages + "cudnn/lib");
    folder("usr/local/cuda-12.9/lib64");
    folder("usr/local/cuda-13.0/lib64");
    folder("usr/local/nvidia/lib64");
    folder("usr/lib/x86_64-linux-gnu");
    Path cached = folder("opt/cached");
    environment.put("LD_LIBRARY_PATH", folder("loader").toString());
    environment.put("VIRTUAL_ENV", root.resolve("venv").toString());
    environment.put(SearchPath.VARIABLE, folder("variable").toString());
    named = folder("first") + ":" + folder("second");
    Files.write(
        folder("etc").resolve("ld.so.cache"),
        LoaderCacheTest.cache(cached + "/libcudnn.so.9", cached + "/libother.so.1"));
    assertThat(folders())
        .containsExactly(
            "first",
            "second",
            "variable",
            "loader",
            "opt/cached",
            "usr/lib/x86_64-linux-gnu",
            "usr/local/nvidia/lib64",
            "usr/local/cuda-13.0/lib64",
            "usr/local/cuda-12.9/lib64",
            "venv/lib",
            "venv/" + packages + "cu13/lib",
            "venv/" + packages + "cudnn/lib",
            "home/me/.local/lib",
            "home/me/.local/" + packages + "cublas/lib",
            "usr/lib",
            "usr/lib/python3/dist-packages/nvidia/cudnn/lib");
    assertThat(path().named())
        .containsExactly(root.resolve("first"), root.resolve("second"), root.resolve("variable"));
  }

  @Test
  void versionsAreOrderedAsNumbers() throws IOException {
    folder("usr/local/cuda-9.2/lib64");
    folder("usr/local/cuda-12.10/lib64");
    folder("usr/local/cuda-12.9/lib64");
    assertThat(folders())
        .containsExactly(
            "usr/local/cuda-12.10/lib64", "usr/local/cuda-12.9/lib64", "usr/local/cuda-9.2/lib64");
  }

  @Test
  void folderIsAskedOnceUnderItsFirstName() throws IOException {
    Path real = folder("usr/local/cuda-13.0/lib64");
    Files.createSymbolicLink(real.resolveSibling("lib"), real);
    Files.createSymbolicLink(root.resolve("usr/local/cuda"), real.getParent());
    environment.put("CUDA_HOME", root.resolve("usr/local/cuda-13.0").toString());
    assertThat(folders()).containsExactly("usr/local/cuda-13.0/lib64");
  }

  @Test
  void pythonOnThePathLeadsToItsPackages() throws IOException {
    String packages = "miniforge/lib/python3.11/site-packages/nvidia/cuda_nvrtc/lib";
    folder(packages);
    Files.createFile(folder("miniforge/bin").resolve("python3"));
    environment.put("PATH", folder("bin") + ":" + root.resolve("miniforge/bin"));
    assertThat(folders()).containsExactly("miniforge/lib", packages);
  }

  @Test
  void whatIsNoAbsoluteFolderIsLeftOut() throws IOException {
    Path file = Files.createFile(root.resolve("file"));
    named = ":relative:" + file + ":/nowhere/at/all:\0:" + folder("good");
    environment.put("PATH", "::.:" + root);
    environment.put("LD_LIBRARY_PATH", "");
    assertThat(folders()).containsExactly("good");
  }
}
