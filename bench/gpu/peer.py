#!/usr/bin/env python3
"""PyTorch at the other end of a pipe, as `run` drives it: peer.py DEVICE

Speaks as org.unetrpp.bench.gpu.GpuServer does: a JSON object in a line asks, one in a line answers, with `error`
where something failed. The network, its weights and its inputs are those of ../peers/unetrpp.py, made from names.

    HELLO                                    versions and device
    LOAD  name task variant [patch] batch    a network, in `precision` and `form`, ready to be timed
    RUN   name least seconds most            times of passes or steps: wall_ms and device_ms of each
    MEM   name                               device memory of this process, in bytes
    ERRORS variant [patch] [file]            logits against float64: those in `file`, and of PyTorch in each precision
    LOSSES variant [patch] batch [type]      losses of the first training steps without dropout, in f64 or f32
    COUNT name                               kernels launched by one pass or step, and what they took
    LAYERS                                   convolutions, normalizations and softmax of the network's shapes, one by one
    FREE name, QUIT

precision  f32 (no TF32), tf32, bf16 (autocast, parameters in float32), bf16-weights (everything in bfloat16)
form       eager, channels-last, graph (a CUDA graph), compiled, reduce-overhead, max-autotune (torch.compile)
"""

import copy
import functools
import json
import os
import pathlib
import sys
import time
import traceback
from contextlib import nullcontext
from dataclasses import replace

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "peers")]  # beside this file in a bundle, else in the repository

import numpy  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional  # noqa: E402

import training  # noqa: E402
import unetrpp  # noqa: E402

INPUTS = 4
LARGEST_BATCH = 8
BATCHES = 3
COMPILED = {"compiled": "default", "reduce-overhead": "reduce-overhead", "max-autotune": "max-autotune"}
PRECISIONS = ("f32", "tf32", "bf16", "bf16-weights")


class Device:
    """What differs between a GPU and, for rehearsals, the CPU."""

    def __init__(self, name):
        self.name = name
        self.is_gpu = name.startswith("cuda")
        if self.is_gpu:
            torch.backends.cudnn.benchmark = True

    def use(self, precision):
        if precision not in PRECISIONS:
            raise ValueError(f"precision is {precision}, expected one of {PRECISIONS}")
        allowed = precision != "f32"
        torch.backends.cuda.matmul.allow_tf32 = allowed
        torch.backends.cudnn.allow_tf32 = allowed
        if precision == "bf16":
            return torch.autocast("cuda" if self.is_gpu else "cpu", dtype=torch.bfloat16)
        return nullcontext()

    def synchronize(self):
        if self.is_gpu:
            torch.cuda.synchronize()

    def times(self, work, least, seconds, most):
        """Runs the work again and again, each time until the device is done."""
        wall, on_device = [], []
        if self.is_gpu:
            before, after = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin = time.perf_counter()
        while len(wall) < most and (len(wall) < least or time.perf_counter() - begin < seconds):
            start = time.perf_counter()
            if self.is_gpu:
                before.record()
            work()
            if self.is_gpu:
                after.record()
            self.synchronize()
            wall.append(1000 * (time.perf_counter() - start))
            if self.is_gpu:
                on_device.append(before.elapsed_time(after))
        return {"wall_ms": wall, "device_ms": on_device}

    def median(self, work, least=20, seconds=0.1):
        """Milliseconds of the work, queued again and again."""
        for _ in range(3):
            work()
        times = self.times(work, least, seconds, 1000)
        return float(numpy.median(times["device_ms"] or times["wall_ms"]))


def configuration(request):
    published = unetrpp.PUBLISHED[request["variant"]]
    return published.tiny(request["patch"]) if "patch" in request else published


@functools.cache
def images(form, index, batch):
    name = "input" if index == 0 else f"input/{index}"
    return torch.from_numpy(unetrpp.deterministic(name, (batch, form.in_channels) + form.patch, 0.0, 3**0.5))


def image(form, batch, index):
    """A smaller batch is the beginning of a larger one."""
    return images(form, index, max(batch, LARGEST_BATCH) if batch > 1 else 1)[:batch]


def without_dropout(form):
    return replace(form, attention_dropout=0.0, channel_dropout=0.0)


@functools.cache
def filled(form):
    made = unetrpp.Network(form)
    unetrpp.fill(made)
    return made


def network(form):
    return copy.deepcopy(filled(form))


@functools.cache
def training_batch(form, step, batch):
    return training.deterministic_step(form, step, batch)


class Forward:
    """Passes from inputs that are on the device to logits that stay there."""

    def __init__(self, device, request):
        self.device = device
        self.precision = request["precision"]
        self.form = request["form"]
        form = configuration(request)
        net = network(form).eval().requires_grad_(False).to(device.name)
        images = [image(form, request.get("batch", 1), i).to(device.name) for i in range(INPUTS)]
        if self.precision == "bf16-weights":
            net = net.bfloat16()
            images = [each.bfloat16() for each in images]
        if self.form == "channels-last":
            net = net.to(memory_format=torch.channels_last_3d)
            images = [each.to(memory_format=torch.channels_last_3d) for each in images]
        if self.form in COMPILED:
            net = torch.compile(net, mode=COMPILED[self.form])
        self.images = images
        self.network = net
        self.passes = 0
        self.graphs = []
        for _ in range(3):  # chooses cuDNN's algorithms; compiles
            self.forward(images[0])
        device.synchronize()
        if self.form == "graph":
            self.capture()

    def forward(self, x):
        with torch.no_grad(), self.device.use(self.precision):
            return self.network(x)

    def capture(self):
        pool = torch.cuda.graph_pool_handle()
        for each in self.images:
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool):
                self.logits = self.forward(each)
            self.graphs.append(graph)

    def work(self):
        index = self.passes % INPUTS
        self.passes += 1
        if self.graphs:
            self.graphs[index].replay()
        else:
            self.forward(self.images[index])


class Training:
    """Steps of training: forward, losses of three heads, backward, clipping, SGD. Batches are on the device."""

    def __init__(self, device, request):
        self.device = device
        self.precision = request["precision"]
        self.form = request["form"]
        form = configuration(request)
        net = network(form).train().to(device.name)
        net.all_heads = True
        if self.form == "channels-last":
            net = net.to(memory_format=torch.channels_last_3d)
        self.batches = []
        for step in range(BATCHES):
            x, targets = training_batch(form, step, request.get("batch", 2))
            self.batches.append([each.to(device.name) for each in [x] + targets])
        self.parameters = list(net.parameters())
        self.optimizer = training.optimizer(net)
        self.network = net
        self.losses = torch.compile(self.loss_of, mode=COMPILED[self.form]) if self.form in COMPILED else self.loss_of
        self.steps = 0
        self.graph = None
        if self.form == "graph":
            self.capture()
        else:
            for _ in range(3):
                self.work()
        device.synchronize()

    def loss_of(self, x, *targets):
        return training.total(training.head_losses(self.network(x), targets))

    def step(self, batch):
        self.optimizer.zero_grad(set_to_none=True)
        with self.device.use(self.precision):
            loss = self.losses(*batch)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.parameters, 12)
        self.optimizer.step()

    def capture(self):
        self.static = [each.clone() for each in self.batches[0]]
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(3):
                self.step(self.static)
        torch.cuda.current_stream().wait_stream(stream)
        self.optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.step(self.static)

    def work(self):
        batch = self.batches[self.steps % BATCHES]
        self.steps += 1
        if self.graph is None:
            self.step(batch)
        else:
            for static, fresh in zip(self.static, batch):
                static.copy_(fresh)
            self.graph.replay()


def relative(found, expected):
    return float((found.double() - expected).norm() / expected.norm())


def judged(logits, exact):
    """Relative error, and the share of voxels whose largest logit is the same."""
    agreement = float((logits.argmax(1) == exact.argmax(1)).double().mean())
    return {"error": relative(logits, exact), "agreement": agreement, "finite": bool(torch.isfinite(logits).all())}


@functools.cache
def exact_logits(device, form):
    """In float64, and what is to be said of PyTorch in other precisions."""
    x = image(form, 1, 0).to(device.name)
    found = {}
    with torch.no_grad():
        net = network(form).eval().requires_grad_(False).to(device.name)
        device.use("f32")
        exact = copy.deepcopy(net).double()(x.double())
        for precision in ("f32", "tf32", "bf16") if device.is_gpu else ("f32",):
            with device.use(precision):
                found["torch-" + precision] = judged(net(x).float(), exact)
    return exact, found


def errors(device, request):
    exact, found = exact_logits(device, configuration(request))
    if "file" not in request:
        return dict(found)
    values = numpy.fromfile(request["file"], dtype="<f4")
    ours = torch.from_numpy(values).reshape(exact.shape).to(device.name)
    return {**found, "ours": judged(ours, exact)}


def losses(device, request):
    form = without_dropout(configuration(request))
    dtype = torch.float64 if request.get("type", "f64") == "f64" else torch.float32
    device.use("f32")
    net = network(form).to(dtype).train().to(device.name)
    net.all_heads = True
    optimizer = training.optimizer(net)
    found, norms = [], []
    for step in range(BATCHES):
        x, targets = training_batch(form, step, request.get("batch", 2))
        targets = [target.to(device.name) for target in targets]
        optimizer.zero_grad(set_to_none=True)
        loss = training.total(training.head_losses(net(x.to(dtype).to(device.name)), targets))
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(net.parameters(), 12)))
        optimizer.step()
        found.append(loss.item())
    return {"losses": found, "gradient_norms": norms}


def count(device, session):
    """What a profiler sees of one pass or step."""
    from torch.profiler import ProfilerActivity, profile

    session.work()
    device.synchronize()
    kinds = [ProfilerActivity.CPU] + ([ProfilerActivity.CUDA] if device.is_gpu else [])
    with profile(activities=kinds) as profiler:
        session.work()
        device.synchronize()
    on_device = [event for event in profiler.events() if str(event.device_type).endswith("CUDA")]
    total = {}
    for event in on_device:
        launches, micros = total.get(event.name, (0, 0.0))
        total[event.name] = (launches + 1, micros + event.time_range.elapsed_us())
    rows = sorted(((name[:120],) + value for name, value in total.items()), key=lambda row: -row[2])
    return {"launches": len(on_device), "busy_us": sum(row[2] for row in rows), "kernels": rows[:60]}


# Channels, extents: the 3x3x3 convolutions of one pass, at batch 1.
CONVOLUTIONS = (
    ("encoder1.conv1", 1, 16, (64, 128, 128)),
    ("decoder2.conv1", 16, 16, (64, 128, 128)),
    ("stage 1", 32, 32, (32, 32, 32)),
    ("stage 2", 64, 64, (16, 16, 16)),
    ("stage 3", 128, 128, (8, 8, 8)),
    ("stage 4", 256, 256, (4, 4, 4)),
)


def layers(device, request):
    """Milliseconds of single operations; convolutions forward and, where not of one channel, both ways backward."""
    scale = request.get("scale", 1)
    rows = []

    def add(what, flop, tensors, precision, layout, work):
        data = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        row = {"what": what, "precision": precision, "layout": layout, "gflop": flop / 1e9, "mb": data / 1e6}
        try:
            row["ms"] = device.median(work)
        except RuntimeError as failure:
            row["error"] = str(failure)[:200]
        rows.append(row)

    def convolution(name, inner, outer, extents, dtype, precision, layout):
        memory = torch.channels_last_3d if layout == "channels-last" else torch.contiguous_format

        def random(*shape):
            return torch.randn(shape, device=device.name).to(dtype).contiguous(memory_format=memory)

        x, dy, weight = random(1, inner, *extents), random(1, outer, *extents), random(outer, inner, 3, 3, 3)
        flop = 2 * 27 * inner * outer * dy[0, 0].numel()
        what = f"{name} convolution {inner} to {outer}"
        add(what, flop, (x, dy, weight), precision, layout, lambda: functional.conv3d(x, weight, padding=1))

        def backward(mask):
            threes = [1, 1, 1]
            arguments = (dy, x, weight, None, threes, threes, threes, False, [0, 0, 0], 1, mask)
            return torch.ops.aten.convolution_backward(*arguments)

        if inner > 1:
            data, weights = [True, False, False], [False, True, False]
            add(what + ", data gradient", flop, (x, dy, weight), precision, layout, lambda: backward(data))
            add(what + ", weight gradient", flop, (x, dy, weight), precision, layout, lambda: backward(weights))

    for precision, dtype in (("bf16", torch.bfloat16), ("tf32", torch.float32)):
        device.use(precision if device.is_gpu else "tf32")
        for name, inner, outer, extents in CONVOLUTIONS:
            for layout in ("contiguous", "channels-last"):
                convolution(name, inner, outer, [max(4, each // scale) for each in extents], dtype, precision, layout)
        x = torch.randn([1, 16] + [each // scale for each in (64, 128, 128)], device=device.name).to(dtype)
        add("instance norm of 16 channels", 0, (x, x), precision, "contiguous", lambda x=x: functional.instance_norm(x))
        maps = torch.randn((1, 4, 32768 // scale, 64), device=device.name).to(dtype)
        what = "softmax of spatial attention, stage 1"
        add(what, 0, (maps, maps), precision, "contiguous", lambda maps=maps: maps.softmax(-1))
    return {"rows": rows}


class Server:
    def __init__(self, device):
        self.device = Device(device)
        self.sessions = {}

    def hello(self, _request):
        answer = {"python": sys.version.split()[0], "torch": torch.__version__, "numpy": numpy.__version__}
        if self.device.is_gpu:
            properties = torch.cuda.get_device_properties(0)
            answer.update(
                device=properties.name,
                multiprocessors=properties.multi_processor_count,
                bytes=properties.total_memory,
                cuda=torch.version.cuda,
                cudnn=torch.backends.cudnn.version(),
            )
        return answer

    def load(self, request):
        tasks = {"forward": Forward, "training": Training}
        self.sessions[request["name"]] = tasks[request["task"]](self.device, request)
        return self.memory(request)

    def run(self, request):
        session = self.sessions[request["name"]]
        return self.device.times(
            session.work, request.get("least", 1), request.get("seconds", 0), request.get("most", sys.maxsize)
        )

    def memory(self, _request):
        if not self.device.is_gpu:
            return {}
        free, _ = torch.cuda.mem_get_info()
        return {
            "in_use_bytes": torch.cuda.memory_allocated(),
            "most_bytes": torch.cuda.max_memory_allocated(),
            "reserved_bytes": torch.cuda.memory_reserved(),
            "device_free_bytes": free,
        }

    def free(self, request):
        del self.sessions[request["name"]]
        if self.device.is_gpu:
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats()
        return {}

    def answer(self, request):
        commands = {
            "HELLO": self.hello,
            "LOAD": self.load,
            "RUN": self.run,
            "MEM": self.memory,
            "ERRORS": lambda asked: errors(self.device, asked),
            "LOSSES": lambda asked: losses(self.device, asked),
            "COUNT": lambda asked: count(self.device, self.sessions[asked["name"]]),
            "LAYERS": lambda asked: layers(self.device, asked),
            "FREE": self.free,
        }
        start = time.perf_counter()
        try:
            reply = commands[request["command"]](request)
        except Exception as failure:  # whatever it is, the other side goes on without it
            reply = {"error": f"{type(failure).__name__}: {failure}"[:2000], "trace": traceback.format_exc()[-4000:]}
        reply["took_seconds"] = time.perf_counter() - start
        return reply


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    replies = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what anything else prints must not get between the replies
    server = Server(sys.argv[1])
    for line in sys.stdin:
        request = json.loads(line)
        if request["command"] == "QUIT":
            replies.write("{}\n")
            return
        replies.write(json.dumps(server.answer(request)) + "\n")


if __name__ == "__main__":
    main()
