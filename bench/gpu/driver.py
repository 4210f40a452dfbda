"""Kernels of a cubin through the CUDA driver, in the context that PyTorch has open."""

import ctypes

import torch

SHARED_BYTES_WITHOUT_ASKING = 48 * 1024
MAX_DYNAMIC_SHARED_SIZE_BYTES = 8


class Module:
    """The kernels of one image."""

    def __init__(self, path):
        torch.zeros(1, device="cuda")  # opens the context and makes it the thread's current one
        self.driver = ctypes.CDLL("libcuda.so.1")
        self.handle = ctypes.c_void_p()
        self.check(self.driver.cuModuleLoad(ctypes.byref(self.handle), str(path).encode()), f"loading {path}")

    def check(self, code, what):
        if code != 0:
            text = ctypes.c_char_p()
            self.driver.cuGetErrorName(code, ctypes.byref(text))
            raise RuntimeError(f"{what}: {text.value.decode() if text.value else code}")

    def launch(self, name, grid, block, *arguments, shared=0):
        """Queues a kernel on PyTorch's current stream; arguments are tensors or values of ctypes."""
        function = ctypes.c_void_p()
        self.check(self.driver.cuModuleGetFunction(ctypes.byref(function), self.handle, name.encode()), name)
        if shared > SHARED_BYTES_WITHOUT_ASKING:
            code = self.driver.cuFuncSetAttribute(function, MAX_DYNAMIC_SHARED_SIZE_BYTES, shared)
            self.check(code, f"{shared} bytes of shared memory for {name}")
        values = [ctypes.c_void_p(each.data_ptr()) if torch.is_tensor(each) else each for each in arguments]
        addresses = (ctypes.c_void_p * len(values))(*(ctypes.addressof(value) for value in values))
        stream = ctypes.c_void_p(torch.cuda.current_stream().cuda_stream)
        code = self.driver.cuLaunchKernel(function, *_three(grid), *_three(block), shared, stream, addresses, None)
        self.check(code, f"{name}, grid {grid}, block {block}")


def _three(extents):
    extents = tuple(extents) if isinstance(extents, (tuple, list)) else (extents,)
    return extents + (1,) * (3 - len(extents))
