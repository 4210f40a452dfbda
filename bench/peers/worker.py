#!/usr/bin/env python3
"""The process of a contestant in PyTorch: worker.py forward|training VARIANT EXPORTS THREADS BATCH

Speaks as the contestants in Java do (src/.../Worker.java): opens the network, then obeys `pass`, `compare` and `close`,
one a line, and answers each with `reply ` and a line of JSON.
"""

import json
import math
import pathlib
import platform
import sys
import time
from dataclasses import replace

import numpy
import torch

import training
import unetrpp

STATUS = pathlib.Path("/proc/self/status")
PEAK_RESET = pathlib.Path("/proc/self/clear_refs")


class Forward:
    """A forward pass of the exported patch, without gradients."""

    def __init__(self, variant, exports, _batch):
        self.network = unetrpp.Network(unetrpp.PUBLISHED[variant]).eval()
        unetrpp.fill(self.network)
        self.image = torch.from_numpy(numpy.load(exports / f"{variant}-input.npy"))
        self.expected = exports / f"{variant}-logits.npy"
        self.logits = None

    def run(self):
        with torch.inference_mode():
            self.logits = self.network(self.image)

    def deviation(self):
        """Largest and root mean square difference, relative to the largest absolute value expected."""
        expected = numpy.load(self.expected, mmap_mode="r")[0]  # class by class, so that no peak of memory is added to
        absmax = largest = squares = 0.0
        for found, wanted in zip(self.logits[0].numpy(), expected):
            difference = numpy.abs(found.astype(numpy.float64) - wanted)
            absmax = max(absmax, float(numpy.abs(wanted).max()))
            largest = max(largest, float(difference.max()))
            squares += float(numpy.square(difference).sum())
        return largest / absmax, math.sqrt(squares / expected.size) / absmax


class Training:
    """A training step as published. Compared without dropout, which no two programs draw alike; timed with it."""

    def __init__(self, variant, exports, batch):
        configuration = unetrpp.PUBLISHED[variant]
        self.batch = training.deterministic_step(configuration, 0, batch)
        plain = self.prepared(replace(configuration, attention_dropout=0.0, channel_dropout=0.0))
        found = self.step(*plain)
        del plain
        expected = json.loads((exports / f"{variant}-step.json").read_text(encoding="utf-8"))
        if expected["batch"] != batch:
            sys.exit(f"{variant}-step.json has a batch of {expected['batch']}, expected {batch}")
        wanted = (expected["loss"], expected["gradientNorm"])
        self.errors = [abs(value - other) / abs(other) for value, other in zip(found, wanted)]
        self.network, self.optimizer = self.prepared(configuration)

    @staticmethod
    def prepared(configuration):
        network = unetrpp.Network(configuration).train()
        network.all_heads = True
        unetrpp.fill(network)
        return network, training.optimizer(network)

    def step(self, network, optimizer):
        """Loss and gradient norm of a step."""
        image, targets = self.batch
        optimizer.zero_grad(set_to_none=True)
        loss = training.total(training.head_losses(network(image), targets))
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
        optimizer.step()
        return loss.item(), norm.item()

    def run(self):
        self.step(self.network, self.optimizer)

    def deviation(self):
        return max(self.errors), math.sqrt(sum(error * error for error in self.errors) / len(self.errors))


def peak_resident_bytes():
    line = next(line for line in STATUS.read_text(encoding="ascii").splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


def reply(**fields):
    print("reply " + json.dumps(fields), flush=True)


def main(what, variant, exports, threads, batch):
    torch.set_num_threads(int(threads))
    torch.set_num_interop_threads(1)
    kind = {"forward": Forward, "training": Training}[what]
    contestant = kind(variant, pathlib.Path(exports), int(batch))
    version = f"PyTorch {torch.__version__}, Python {platform.python_version()}"
    reply(version=version, peakResidentBytes=peak_resident_bytes())
    PEAK_RESET.write_text("5", encoding="ascii")
    for line in sys.stdin:
        command = line.strip()
        if command == "pass":
            start = time.perf_counter()
            contestant.run()
            reply(seconds=time.perf_counter() - start)
        elif command == "compare":
            largest, rms = contestant.deviation()
            reply(deviation={"largest": largest, "rms": rms})
        elif command == "close":
            reply(peakResidentBytes=peak_resident_bytes())
            return
        else:
            sys.exit(f"command is {command}, expected pass, compare or close")


if __name__ == "__main__":
    if len(sys.argv) != 6:
        sys.exit(__doc__)
    main(*sys.argv[1:])
