#!/usr/bin/env python3
"""What this GPU can do at most, measured: a JSON object in a line for each figure. ceilings.py [CUBIN] [SECONDS]

Copies and products of PyTorch on random data; with a cubin of kernels/ceilings.cu also what the units do by
themselves and what launches and barriers cost. Stops beginning new figures after SECONDS.
"""

import ctypes
import json
import statistics
import sys
import time

import torch

GIGA = 1e9
GIGA_FLOATS = 1 << 30


def milliseconds(work, repetitions=10):
    """Median of the times of one run."""
    for _ in range(3):
        work()
    times = []
    for _ in range(repetitions):
        before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        before.record()
        work()
        after.record()
        after.synchronize()
        times.append(before.elapsed_time(after))
    return statistics.median(times)


def copy():
    source = torch.randn(GIGA_FLOATS, device="cuda")
    target = torch.empty_like(source)
    millis = milliseconds(lambda: target.copy_(source))
    return {"TB_per_s": 2 * 4 * GIGA_FLOATS / millis / GIGA, "ms": millis}



def product(dtype, tf32=False):
    torch.backends.cuda.matmul.allow_tf32 = tf32
    n = 8192
    a, b = (torch.randn((n, n), device="cuda").to(dtype) for _ in range(2))
    out = torch.empty_like(a)
    millis = milliseconds(lambda: torch.mm(a, b, out=out))
    return {"TFLOP_per_s": 2 * n**3 / millis / GIGA, "ms": millis}


class OwnKernels:
    def __init__(self, cubin):
        import driver

        self.module = driver.Module(cubin)
        self.multiprocessors = torch.cuda.get_device_properties(0).multi_processor_count

    def tensor_cores(self):
        blocks, rounds = 2 * self.multiprocessors, 20_000
        x = torch.randn(1 << 17, device="cuda").bfloat16()
        y = torch.empty(blocks * 256, device="cuda")
        millis = milliseconds(lambda: self.module.launch("mma_peak", blocks, 256, x, y, ctypes.c_int(rounds)))
        flop = blocks * 8 * rounds * 8 * 2 * 16 * 8 * 16
        return {"TFLOP_per_s": flop / millis / GIGA, "ms": millis}

    def second_level_cache(self):
        count, rounds, blocks = (24 << 20) // 16, 50, 4 * self.multiprocessors
        x = torch.randn(4 * count, device="cuda")
        y = torch.empty(blocks * 512, device="cuda")
        arguments = (x, y, ctypes.c_int(count), ctypes.c_int(rounds))
        millis = milliseconds(lambda: self.module.launch("l2_read", blocks, 512, *arguments))
        return {"TB_per_s": 16 * count * rounds / millis / GIGA, "ms": millis}

    def own_copy(self):
        count = 1 << 28
        source = torch.randn(4 * count, device="cuda")
        target = torch.empty_like(source)
        blocks = 8 * self.multiprocessors
        arguments = (source, target, ctypes.c_longlong(count))
        millis = milliseconds(lambda: self.module.launch("copy", blocks, 512, *arguments))
        if not torch.equal(source, target):
            raise RuntimeError("the copy differs")
        return {"TB_per_s": 2 * 16 * count / millis / GIGA, "ms": millis}

    def graph_chain(self):
        nodes = 1000
        y = torch.empty(1, device="cuda")
        self.module.launch("empty", 1, 32, y)
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            for _ in range(nodes):
                self.module.launch("empty", 1, 32, y)
        return {"us_per_node": 1000 * milliseconds(graph.replay) / nodes}

    def stream_chain(self):
        launches = 1000
        y = torch.empty(1, device="cuda")

        def queue():
            for _ in range(launches):
                self.module.launch("empty", 1, 32, y)

        return {"us_per_launch_from_python": 1000 * milliseconds(queue) / launches}

    def grid_barrier(self):
        rounds = 1000
        arrivals = torch.zeros(1, dtype=torch.int32, device="cuda")

        def wait():
            arrivals.zero_()
            self.module.launch("grid_barrier", self.multiprocessors, 256, arrivals, ctypes.c_int(rounds))

        return {"us": 1000 * milliseconds(wait) / rounds}

    def cluster_barrier(self):
        rounds, blocks = 10_000, self.multiprocessors // 8 * 8
        millis = milliseconds(lambda: self.module.launch("cluster_barrier", blocks, 256, ctypes.c_int(rounds)))
        return {"us": 1000 * millis / rounds}


def main():
    cubin = sys.argv[1] if len(sys.argv) > 1 else ""
    limit = time.monotonic() + (float(sys.argv[2]) if len(sys.argv) > 2 else 60)
    figures = {
        "copy": copy,
        "product bf16": lambda: product(torch.bfloat16),
        "product tf32": lambda: product(torch.float32, tf32=True),
        "product f16": lambda: product(torch.float16),
        "product f32": lambda: product(torch.float32),
    }
    if cubin:
        own = OwnKernels(cubin)
        figures.update(
            {
                "mma.sync bf16": own.tensor_cores,
                "read of the second-level cache": own.second_level_cache,
                "copy by an own kernel": own.own_copy,
                "graph of dependent launches": own.graph_chain,
                "stream of dependent launches": own.stream_chain,
                "barrier of a grid": own.grid_barrier,
                "barrier of a cluster": own.cluster_barrier,
            }
        )
    for name, measure in figures.items():
        if time.monotonic() > limit:
            print(json.dumps({"figure": name, "skipped": "no time left"}), flush=True)
            continue
        try:
            found = measure()
        except Exception as failure:  # one figure less, not none
            found = {"error": f"{type(failure).__name__}: {failure}"[:500]}
        print(json.dumps({"figure": name, **found}), flush=True)
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
