"""Writes the small checkpoints of this folder with PyTorch 1.13 and NumPy 1.24 (see README.md)."""
import hashlib, json, pickle, re, sys
from collections import OrderedDict

import numpy as np
import torch

M = (1 << 64) - 1


def values(name, shape):
    """Deterministic values: FNV-1a of the name seeds splitmix64; in [-1, 1)."""
    h = 0xCBF29CE484222325
    for b in name.encode():
        h = ((h ^ b) * 0x100000001B3) & M
    n = int(np.prod(shape)) if shape else 1
    i = np.arange(1, n + 1, dtype=np.uint64)
    with np.errstate(over="ignore"):
        z = np.uint64(h) + i * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = (z ^ (z >> np.uint64(31))) >> np.uint64(40)
    return (2 * (z.astype(np.float64) / 2**24) - 1).astype(np.float32).reshape(shape)


def state(cin, classes, patch, stem, widths, depths, decoder_depth, p, features, heads, kind):
    """kind: shared (E is F), separate (E and F, conv52) or matrix (EF, no out_proj)."""
    s = OrderedDict()
    grid = [tuple(a // b for a, b in zip(patch, stem))]
    for _ in range(3):
        grid.append(tuple(a // 2 for a in grid[-1]))
    tokens = [int(np.prod(g)) for g in grid]

    def add(name, *shape):
        s[name] = torch.from_numpy(values(name, shape).copy())

    def affine(name, c):
        add(name + ".weight", c)
        add(name + ".bias", c)

    def block(name, c, n, p):
        add(name + ".gamma", c)
        add(name + ".pos_embed", 1, n, c)
        affine(name + ".norm", c)
        e = name + ".epa_block"
        add(e + ".temperature", heads, 1, 1)
        add(e + ".temperature2", heads, 1, 1)
        if kind == "matrix":
            add(e + ".EF", n, p)
        add(e + ".qkvv.weight", 4 * c, c)
        if kind != "matrix":
            add(e + ".E.weight", p, n)
            add(e + ".E.bias", p)
            if kind == "shared":
                s[e + ".F.weight"] = s[e + ".E.weight"]
                s[e + ".F.bias"] = s[e + ".E.bias"]
            else:
                add(e + ".F.weight", p, n)
                add(e + ".F.bias", p)
            for o in (".out_proj", ".out_proj2"):
                add(e + o + ".weight", c // 2, c)
                add(e + o + ".bias", c // 2)
        for conv in ("conv51", "conv52")[: 2 if kind == "separate" else 1]:
            add(f"{name}.{conv}.conv1.conv.weight", c, c, 3, 3, 3)
            add(f"{name}.{conv}.conv2.conv.weight", c, c, 3, 3, 3)
            for norm in ("norm1", "norm2"):
                affine(f"{name}.{conv}.{norm}", c)
                add(f"{name}.{conv}.{norm}.running_mean", c)
                add(f"{name}.{conv}.{norm}.running_var", c)
                s[f"{name}.{conv}.{norm}.num_batches_tracked"] = torch.tensor(1250)
        add(name + ".conv8.1.weight", c, c, 1, 1, 1)
        add(name + ".conv8.1.bias", c)

    enc = "unetr_pp_encoder."
    for i, w in enumerate(widths):
        k = stem if i == 0 else (2, 2, 2)
        add(f"{enc}downsample_layers.{i}.0.conv.weight", w, cin if i == 0 else widths[i - 1], *k)
        affine(f"{enc}downsample_layers.{i}.1", w)
    for i, w in enumerate(widths):
        for b in range(depths[i]):
            block(f"{enc}stages.{i}.{b}", w, tokens[i], p[i])
    add("encoder1.conv1.conv.weight", features, cin, 3, 3, 3)
    add("encoder1.conv2.conv.weight", features, features, 3, 3, 3)
    if cin != features:
        add("encoder1.conv3.conv.weight", features, cin, 1, 1, 1)
    for i in (2, 1, 0):
        d = f"decoder{i + 3}"
        add(d + ".transp_conv.conv.weight", widths[i + 1], widths[i], 2, 2, 2)
        for b in range(decoder_depth):
            block(f"{d}.decoder_block.0.{b}", widths[i], tokens[i], p[4])
    add("decoder2.transp_conv.conv.weight", widths[0], features, *stem)
    add("decoder2.decoder_block.0.conv1.conv.weight", features, features, 3, 3, 3)
    add("decoder2.decoder_block.0.conv2.conv.weight", features, features, 3, 3, 3)
    for name, c in (("out1", features), ("out2", widths[0]), ("out3", widths[1])):
        add(name + ".conv.conv.weight", classes, c, 1, 1, 1)
        add(name + ".conv.conv.bias", classes)
    return s


def plans():
    intensity = OrderedDict()
    intensity[0] = OrderedDict(
        median=np.float32(86.0), mean=np.float32(82.92), sd=np.float64(136.97), mn=-1024.0,
        mx=np.float32(3071.0), percentile_99_5=np.float64(360.0), percentile_00_5=np.float64(-958.0))
    stage = lambda spacing, patch: {
        "batch_size": 2, "num_pool_per_axis": [3, 5, 5], "patch_size": np.array(patch),
        "median_patient_size_in_voxels": np.array([148, 512, 512]),
        "current_spacing": np.array(spacing), "original_spacing": np.array(spacing),
        "do_dummy_2D_data_aug": True, "pool_op_kernel_sizes": [[2, 2, 2]] * 4}
    return {
        "num_stages": 2, "num_modalities": 1, "modalities": {0: "CT"},
        "normalization_schemes": OrderedDict([(0, "CT")]),
        "dataset_properties": {"all_sizes": [(147, 512, 512)], "all_classes": [1, 2],
                               "intensityproperties": intensity, "size_reductions": OrderedDict(x=1.0)},
        "list_of_npz_files": ["case_0.npz"], "original_spacings": [np.array([3.0, 0.76, 0.76])],
        "num_classes": 2, "all_classes": [1, 2], "base_num_features": 32,
        "use_mask_for_norm": OrderedDict([(0, False)]), "keep_only_largest_region": None,
        "min_size_per_class": None, "transpose_forward": [0, 1, 2], "transpose_backward": [0, 1, 2],
        "data_identifier": "unetr_pp_Data_plans_v2.1", "preprocessor_name": "GenericPreprocessor",
        "plans_per_stage": {0: stage([3.2, 1.6, 1.6], [80, 160, 160]),
                            1: stage([3.0, 0.7578, 0.7578], [16, 32, 32])}}


def main(out):
    tiny = dict(widths=(4, 4, 4, 8), depths=(1, 2, 1, 1), decoder_depth=1, p=(2, 2, 2, 1, 2), features=2, heads=2)
    shared = state(1, 3, (16, 32, 32), (2, 4, 4), kind="shared", **tiny)
    small = dict(tiny, widths=(2, 2, 2, 2), depths=(1, 1, 1, 1), heads=1)
    separate = state(1, 2, (8, 64, 32), (1, 4, 4), kind="separate", **small)
    matrix = state(2, 4, (32, 32, 32), (4, 4, 4), kind="matrix", **dict(small, widths=(4, 4, 4, 4)))
    files = {}

    def save(name, obj, **options):
        torch.save(obj, f"{out}/{name}", **options)
        files[name] = hashlib.sha256(open(f"{out}/{name}", "rb").read()).hexdigest()

    cast = lambda s, t: OrderedDict((k, v.to(t) if v.is_floating_point() else v) for k, v in s.items())
    parameters = [v for k, v in shared.items()
                  if v.is_floating_point() and not re.search(r"running|\.F\.", k)][:3]
    training = {
        "epoch": 1000, "state_dict": OrderedDict((k, v.clone()) for k, v in shared.items()),
        "optimizer_state_dict": {
            "state": {i: {"momentum_buffer": v * 0.5} for i, v in enumerate(parameters)},
            "param_groups": [{"lr": 0.01, "momentum": 0.99, "nesterov": True, "params": [0, 1, 2]}]},
        "lr_scheduler_state_dict": None,
        "plot_stuff": ([-0.5, -0.75], [np.float64(-0.25), np.float32(-0.5)], [], [np.float64(0.75)]),
        "best_stuff": (None, -0.75, np.float64(0.75)), "amp_grad_scaler": None}
    save("training.model", training)
    save("separate-legacy.pth", separate, _use_new_zipfile_serialization=False)
    save("matrix-module-bfloat16.pth",
         {"network_weights": OrderedDict(("module." + k, v) for k, v in cast(matrix, torch.bfloat16).items())})
    save("matrix-float16.pth", cast(matrix, torch.float16))
    save("matrix-float64-heads-off-legacy.pth",
         {"model": OrderedDict((k, v) for k, v in cast(matrix, torch.float64).items()
                               if not re.match(r"out[23]\.", k))}, _use_new_zipfile_serialization=False)
    base = torch.arange(60, dtype=torch.float32)
    save("views.pth", {
        "transposed": base[:24].view(2, 3, 4).permute(2, 0, 1), "offset": base[30:36],
        "expanded": torch.tensor([1.5, 2.5]).view(2, 1).expand(2, 3), "strided": base[1:20:3],
        "empty": torch.zeros(0, 5), "scalar": torch.tensor(7, dtype=torch.int8),
        "nested": [torch.tensor([True, False]), (torch.tensor([3], dtype=torch.int16),)],
        "numpy": np.arange(6.0).reshape(2, 3), "none": np.zeros(0), "size": torch.Size([1, 2]),
        "device": torch.device("cpu"), "type": torch.float16})
    save("protocol4.pth", {"a": base[:4], "s": {1, 2}, "f": frozenset([1]), "b": b"xyz", "n": np.arange(3)},
         pickle_protocol=4)
    info = OrderedDict(
        init=("plans.pkl", 0, "out", "data", True, 1, True, False, True),
        name="unetr_pp_trainer_synapse", plans=plans())
    info["class"] = "<class 'unetr_pp_trainer_synapse'>"
    for name, obj, protocol in (("training.model.pkl", info, 4), ("plans.pkl", plans(), 5), ("plans-protocol2.pkl", plans(), 2)):
        pickle.dump(obj, open(f"{out}/{name}", "wb"), protocol=protocol)

    expected = {}
    for name in sorted(files):
        loaded = torch.load(f"{out}/{name}")
        tensors = {}

        def visit(v, path):
            if isinstance(v, torch.Tensor):
                raw = v.contiguous()
                raw = raw.view(torch.int16) if v.dtype == torch.bfloat16 else raw
                tensors[path] = {"dtype": str(v.dtype)[6:], "shape": list(v.shape),
                                 "sha256_c_order_le": hashlib.sha256(raw.numpy().tobytes()).hexdigest()}
            elif isinstance(v, dict):
                for k, x in v.items():
                    visit(x, f"{path}/{k}" if path else str(k))
            elif isinstance(v, (list, tuple)):
                for i, x in enumerate(v):
                    visit(x, f"{path}/{i}" if path else str(i))

        visit(loaded, "")
        legacy = "legacy" in name
        digest = hashlib.sha256("".join(
            f"{k} {t['dtype']} {t['shape']} {t['sha256_c_order_le']}\n" for k, t in tensors.items()).encode())
        expected[name] = {"format": "legacy" if legacy else "zip version 3", "count": len(tensors),
                          "listing_sha256": digest.hexdigest()}
        if name in ("views.pth", "protocol4.pth"):
            expected[name] = {"format": "zip version 3", "tensors": tensors}
    json.dump(expected, open(f"{out}/expected.json", "w"), indent=1)


if __name__ == "__main__":
    main(sys.argv[1])
