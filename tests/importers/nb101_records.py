"""Writes files of NAS-Bench-101's shape: TFRecord, JSON and Protocol Buffers, without any of their libraries."""

from __future__ import annotations

import base64
import json
import struct

import numpy as np

from nasgym.importers.tfrecord_crc import masked_crc32c
from nasgym.recipes import DATASETS, RECIPES
from nasgym.spaces import NB101

EPOCHS = (4, 12, 36, 108)
IMAGES = 9984
REAL = (
    b'["00005c142e6f48ac74fdcf73e3439874", 4, "0100110001000000010010000010000001000000010000000", '
    b'"input,conv3x3-bn-relu,maxpool3x3,conv3x3-bn-relu,conv3x3-bn-relu,conv1x1-bn-relu,output", '
    b'"Ci0JAAAAAAAAAAARAAAAAAAAAAAZAAAAoKqquT8hAAAAYJAGuT8pAAAAAGmQuT8KLQkAAAAAAAAA\\nQBEAAADAdJNGQBkAAABgkAa6PyEAAAAg3/'
    b'K6PykAAACAy7e6PwotCQAAAAAAABBAEQAAACDbeVZA\\nGQAAAEAaZNY/IQAAAGBVVdY/KQAAAODybdY/EIqYigQZAABAhznbeUA=\\n"]'
)
"""The first record of the published file, as the test of another reader quotes it (sile/nasbench-rs)."""
REAL_SUMS = bytes.fromhex("9825ed9b"), bytes.fromhex("68166903")


def framed(payloads):
    """The bytes of a TFRecord file."""
    heads = [struct.pack("<Q", len(data)) for data in payloads]
    sums = zip(masked_crc32c(heads).tolist(), masked_crc32c(payloads).tolist(), strict=True)
    return b"".join(
        head + struct.pack("<I", one) + data + struct.pack("<I", two)
        for head, data, (one, two) in zip(heads, payloads, sums, strict=True)
    )


def message(points, parameters, total):
    """The metrics of a training: ``points[3][5]`` are epoch, seconds, train, valid and test accuracy."""
    entries = b"".join(
        b"\x0a\x2d" + b"".join(bytes([tag << 3 | 1]) + struct.pack("<d", value) for tag, value in enumerate(point, 1))
        for point in points
    )
    return entries + b"\x10" + varint(parameters) + b"\x19" + struct.pack("<d", total)


def varint(number):
    digits = b""
    while number > 0x7F:
        digits += bytes([number & 0x7F | 0x80])
        number >>= 7
    return digits + bytes([number])


def payload(name, epochs, matrix, operations, metrics):
    """A record, as `json.dumps` and `base64.encodebytes` write it."""
    return json.dumps([name, epochs, matrix, operations, base64.encodebytes(metrics).decode()]).encode()


class Maker:
    """Makes up records from a seed: accuracies of 9,984 images in 32-bit floats, seconds in thousandths."""

    def __init__(self, seed=0):
        self.seed = seed
        self.space = NB101()
        data = DATASETS["cifar10"]
        self.macro = RECIPES["nb101-108"].macro(data.classes, data.channels, data.resolution)

    def numbers(self, index, epochs):
        """``points[3 repeats, 3 moments, 5]`` and ``total[3]`` of a cell."""
        rng = np.random.default_rng([self.seed, index, epochs])
        best = 0.95 - 0.5 / np.sqrt(epochs) - 0.05 * rng.random()
        accuracy = np.empty((3, 3, 3))
        accuracy[:, 0] = 0.1
        accuracy[:, 1] = 0.6 * best
        accuracy[:, 2] = best
        accuracy += 0.004 * rng.standard_normal(accuracy.shape) - [-0.03, 0, 0.004]
        counts = np.rint(np.clip(accuracy, 0, 1) * IMAGES)
        rate = 5 + 20 * rng.random()
        seconds = np.rint(1000 * rate * epochs * (1 + 0.01 * rng.standard_normal(3))) / 1000
        points = np.empty((3, 3, 5))
        points[:, :, 0] = [0, epochs // 2, epochs]
        points[:, :, 1] = np.float32(seconds[:, None] * [0, 0.502, 1])
        points[:, :, 2:] = np.float32(counts / IMAGES)
        return points, seconds * 1.3 + 300 + rng.random(3)

    def records(self, indices, epochs=EPOCHS):
        """Yield the records of cells: every length of training, three repeats each, in the published order."""
        indices = list(indices)
        genotypes = self.space.from_index(indices)
        names, cells = self.space.hash(genotypes), self.space.cells(indices)
        parameters = self.space.parameters(genotypes, self.macro).tolist()
        for index, name, cell, count in zip(indices, names, cells, parameters, strict=True):
            matrix = "".join(map(str, cell.matrix.ravel().tolist()))
            operations = ",".join(["input", *cell.operations, "output"])
            for length in epochs:
                points, total = self.numbers(int(index), length)
                for point, seconds in zip(points.tolist(), total.tolist(), strict=True):
                    yield payload(name, length, matrix, operations, message(point, count, seconds))


def write(path, indices, *, epochs=EPOCHS, seed=0, change=lambda payloads: payloads):
    """Write a file with the records of some cells."""
    path.write_bytes(framed(change(list(Maker(seed).records(indices, epochs)))))
    return path
