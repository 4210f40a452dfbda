#!/usr/bin/env python3
"""Compares a training step with PyTorch's: train_steps.py --record bench/results/NAME [--variant synapse] [--batch 2]

Contestants are processes of their own that make their steps in turn, A B C A B C, so that what the machine does
meanwhile meets them all: the engine, PyTorch, and PyTorch with its malloc told to keep memory. All have the same
weights and batch; their losses without dropout must agree to 1e-4 before anything is timed. The engine runs from
bench/target/benchmarks.jar, which `mvn verify` makes. Peak memory is the process's largest resident set.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
from dataclasses import replace

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEEPING = {"MALLOC_ARENA_MAX": "1", "MALLOC_TRIM_THRESHOLD_": "17179869184", "MALLOC_MMAP_MAX_": "0"}


def work_in_torch(variant, batch, threads):
    """One side: prints the loss of a step without dropout, then the seconds of a step for each line read."""
    import torch

    import training
    import unetrpp

    torch.set_num_threads(threads)
    configuration = unetrpp.PUBLISHED[variant]
    image, targets = training.deterministic_step(configuration, 0, batch)

    def prepare(form):
        network = unetrpp.Network(form).train()
        network.all_heads = True
        unetrpp.fill(network)
        return network, training.optimizer(network)

    def step(network, optimizer):
        optimizer.zero_grad(set_to_none=True)
        loss = training.total(training.head_losses(network(image), targets))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 12)
        optimizer.step()
        return loss.item()

    print(step(*prepare(replace(configuration, attention_dropout=0.0, channel_dropout=0.0))), flush=True)
    network, optimizer = prepare(configuration)
    for _ in sys.stdin:
        start = time.perf_counter()
        step(network, optimizer)
        print(time.perf_counter() - start, flush=True)


class Side:
    """A contestant's process."""

    def __init__(self, name, command, environment):
        self.name = name
        self.seconds = []
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1, env={**os.environ, **environment}
        )
        self.loss = self.read()

    def read(self):
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended")
        return float(line)

    def step(self):
        self.process.stdin.write("step\n")
        self.process.stdin.flush()
        return self.read()

    def peak_gib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text(encoding="ascii")
        kib = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
        return int(kib) / 2**20

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def processor():
    lines = pathlib.Path("/proc/cpuinfo").read_text(encoding="ascii").splitlines()
    return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))


def text(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--variant", default="synapse")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--warmups", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--java", default="java", help="of version 25")
    parser.add_argument("--record", help="file name without ending for the record")
    parser.add_argument("--torch-worker", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.torch_worker:
        work_in_torch(options.variant, options.batch, options.threads)
        return
    import torch

    shape = [options.variant, str(options.batch), str(options.threads)]
    jar = ROOT / "bench/target/benchmarks.jar"
    engine = [options.java, "--enable-native-access=ALL-UNNAMED", "-Xmx1g", "-cp", str(jar)]
    torch_side = [sys.executable, __file__, "--torch-worker", "--variant", shape[0], "--batch", shape[1], "--threads", shape[2]]
    sides = [
        Side("engine", engine + ["org.unetrpp.bench.TrainingStepWorker"] + shape, {}),
        Side("torch", torch_side, {}),
        Side("torch-tuned", torch_side, KEEPING),
    ]
    for side in sides:
        print(f"{side.name}: loss {side.loss}", flush=True)
        if abs(side.loss - sides[1].loss) > 1e-4 * abs(sides[1].loss):
            raise SystemExit("the losses differ")
    for round_number in range(options.warmups + options.rounds):
        for side in sides:
            seconds = side.step()
            warm = round_number >= options.warmups
            if warm:
                side.seconds.append(seconds)
            print(f"{'round' if warm else 'warm-up'} {round_number} {side.name} {seconds:.2f} s", flush=True)
    modified = "-modified" if text("git", "status", "--porcelain", "--untracked-files=no") else ""
    record = {
        "what": f"training step of {options.variant}, batch {options.batch}, fp32, {options.threads} threads: forward, "
        "Dice + cross entropy of three heads, backward, clipping, SGD",
        "commit": text("git", "rev-parse", "--short=12", "HEAD") + modified,
        "machine": f"{processor()}, {os.cpu_count()} cores, {platform.system()} {platform.release()}",
        "versions": f"{text(options.java, '--version').splitlines()[0]}; PyTorch {torch.__version__}",
        "command": "bench/peers/train_steps.py " + " ".join(f"{name} {value}" for name, value in (
            ("--variant", options.variant), ("--batch", options.batch), ("--rounds", options.rounds))),
        "sides": [
            {
                "name": side.name,
                "median_seconds": statistics.median(side.seconds),
                "seconds": side.seconds,
                "peak_gib": side.peak_gib(),
                "loss_without_dropout": side.loss,
            }
            for side in sides
        ],
    }
    for side in sides:
        side.close()
    lines = [f"# {record['what']}", ""]
    lines += [f"{key}: {record[key]}  " for key in ("commit", "machine", "versions", "command")]
    lines += ["", "| side | median s | all s | peak GiB | time, engine = 1 |", "| --- | --- | --- | --- | --- |"]
    base = record["sides"][0]["median_seconds"]
    for side in record["sides"]:
        every = ", ".join(f"{seconds:.2f}" for seconds in side["seconds"])
        ratio = side["median_seconds"] / base
        lines.append(f"| {side['name']} | {side['median_seconds']:.2f} | {every} | {side['peak_gib']:.2f} | {ratio:.2f} |")
    print("\n".join(lines))
    if options.record:
        pathlib.Path(options.record + ".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        pathlib.Path(options.record + ".md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
