"""Writes the pickles of this folder: python3 make_plans.py FOLDER PROTOCOL..."""

import pathlib
import pickle
import sys
from collections import OrderedDict

import numpy as np

folder = pathlib.Path(sys.argv[1])
IDS = ["hippocampus_148", "hippocampus_165", "hippocampus_243"]


def stage(spacing, patch, batch, pools, dummy):
    return {
        "batch_size": batch,
        "num_pool_per_axis": [sum(level[axis] > 1 for level in pools) for axis in range(3)],
        "patch_size": np.array(patch),
        "median_patient_size_in_voxels": np.array([34, 49, 29]),
        "current_spacing": np.array(spacing),
        "original_spacing": np.array(spacing),
        "do_dummy_2D_data_aug": dummy,
        "pool_op_kernel_sizes": pools,
        "conv_kernel_sizes": [[3, 3, 3]] * (len(pools) + 1),
    }


def properties(modality, ids, intensities):
    return {
        "all_sizes": [(32, 48, 34), (29, 49, 34), (24, 53, 34)][: len(ids)],
        "all_spacings": [np.array([1.0, 1.0, 1.0]) for _ in ids],
        "all_classes": [1, 2],
        "modalities": {0: modality},
        "intensityproperties": intensities,
        "size_reductions": OrderedDict((case, np.float64(1.0)) for case in ids),
    }


def plans(modality, stages, classes, intensities, transpose=(0, 1, 2)):
    return {
        "num_stages": len(stages),
        "num_modalities": 1,
        "modalities": {0: modality},
        "normalization_schemes": OrderedDict([(0, "CT" if modality == "CT" else "nonCT")]),
        "dataset_properties": properties(modality, IDS, intensities),
        "list_of_npz_files": ["cropped/" + case + ".npz" for case in IDS],
        "original_spacings": [np.array([1.0, 1.0, 1.0])] * 3,
        "original_sizes": [(32, 48, 34)] * 3,
        "preprocessed_data_folder": "preprocessed",
        "num_classes": len(classes),
        "all_classes": classes,
        "base_num_features": 32,
        "use_mask_for_norm": OrderedDict([(0, False)]),
        "keep_only_largest_region": None,
        "min_region_size_per_class": None,
        "min_size_per_class": None,
        "transpose_forward": list(transpose),
        "transpose_backward": [int(i) for i in np.argsort(transpose)],
        "data_identifier": "data",
        "plans_per_stage": dict(enumerate(stages)),
        "preprocessor_name": "GenericPreprocessor",
        "conv_per_stage": 2,
    }


CT = OrderedDict(
    [
        (
            0,
            OrderedDict(
                median=np.float32(96.0),
                mean=np.float32(82.5),
                sd=np.float32(136.5),
                mn=np.float32(-1024.0),
                mx=np.float32(2914.0),
                percentile_99_5=np.float64(326.0),
                percentile_00_5=np.float64(-958.0),
                local_props=OrderedDict((case, {"mean": np.float32(1.0)}) for case in IDS),
            ),
        )
    ]
)
HALVES = [[2, 2, 2]] * 4
hippocampus = plans("MRI", [stage([1.0, 1.0, 1.0], [32, 56, 40], 9, [[2, 2, 2], [2, 2, 2], [2, 2, 2]], False)], [1, 2], None)
synapse = plans(
    "CT",
    [stage([3.2, 1.6, 1.6], [64, 128, 128], 2, HALVES, False), stage([3.0, 0.75781244, 0.75781244], [64, 128, 128], 2, HALVES, True)],
    [1, 10, 11, 12, 13, 2, 3, 4, 5, 6, 7, 8, 9],
    CT,
)
splits = [
    OrderedDict(train=np.array([c for c in IDS if c != held]), val=np.array([held])) for held in IDS
]
objects = [
    {"train": np.array(IDS[:2], dtype=object), "val": [np.str_(IDS[2])]},
]
side = OrderedDict(
    init=("plans.pkl", 0, "results", "preprocessed", True, 0, True, False, True),
    name="unetr_pp_trainer_synapse",
    plans=hippocampus,
)
side["class"] = "<class 'unetr_pp_trainer_synapse'>"

for protocol in map(int, sys.argv[2:]):
    for name, value in {
        "hippocampus-plans": hippocampus,
        "splits_final": splits,
        "objects-splits_final": objects,
    }.items():
        (folder / f"{name}-{protocol}.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
    if protocol == 4:
        for name, value in {
            "synapse-plans": synapse,
            "dataset_properties": properties("CT", IDS, CT),
            "hippocampus.model": side,
        }.items():
            (folder / f"{name}.pkl").write_bytes(pickle.dumps(value, protocol=protocol))
