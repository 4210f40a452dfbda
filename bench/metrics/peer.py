"""The tasks of org.unetrpp.bench.LabelMetrics with numpy and scipy, in this process.

    peer.py FOLDER

Prints a line for each task: name, seconds, values.
"""

import gzip
import sys
import time

import numpy as np
from scipy import ndimage

SPACING = (1.0, 0.8, 0.8)
ORGANS = 13


def read(path):
    content = gzip.open(path).read()
    shape = np.frombuffer(content, "<i2", 4, 40)[1:]
    offset = int(np.frombuffer(content, "<f4", 1, 108)[0])
    return np.frombuffer(content, np.uint8, offset=offset).reshape(shape[::-1])


def components(prediction):
    values = []
    for label in range(1, ORGANS + 1):
        numbers, count = ndimage.label(prediction == label)
        values += [count, np.bincount(numbers.ravel())[1:].max()]
    return values


def surface_distances(test, reference):
    """MedPy's rule."""
    cross = ndimage.generate_binary_structure(3, 1)
    test_border = test ^ ndimage.binary_erosion(test, structure=cross, iterations=1)
    border = reference ^ ndimage.binary_erosion(reference, structure=cross, iterations=1)
    return ndimage.distance_transform_edt(~border, sampling=SPACING)[test_border]


def hd95(prediction, reference):
    """In the box around both masks, where MedPy itself takes the whole volume."""
    values = []
    for label in range(1, ORGANS + 1):
        test, expected = prediction == label, reference == label
        (box,) = ndimage.find_objects((test | expected).view(np.uint8))
        test, expected = test[box], expected[box]
        pooled = np.hstack([surface_distances(test, expected), surface_distances(expected, test)])
        values.append(np.percentile(pooled, 95))
    return values


def main():
    prediction, reference = (
        read(f"{sys.argv[1]}/{name}.nii.gz") for name in ("prediction", "reference")
    )
    tasks = [("components", components, (prediction,)), ("hd95", hd95, (prediction, reference))]
    for name, task, arguments in tasks:
        start = time.perf_counter()
        values = task(*arguments)
        seconds = time.perf_counter() - start
        print(name, f"{seconds:.4f}", [float(value) for value in values], flush=True)


main()
