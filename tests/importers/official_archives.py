"""Writes archives of the official shapes: the folder, the single file, and both containers of ``.pth``."""

from __future__ import annotations

import bz2
import pickle
import zipfile
from collections import OrderedDict
from functools import cache

import numpy as np

from nasgym.spaces import get_space
from tests.importers.official_samples import HPS, arch_state

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
ROUGH = {"full": "200", "less": "12"}


@cache
def published(space):
    """The strings of all architectures, in order."""
    found = get_space(space)
    return found.to_str(found.from_index(range(found.size)))


def by_recipe(space, index, seed=0, hps=None, **how):
    """What the files hold for an architecture."""
    rng = np.random.default_rng([seed, index])
    return OrderedDict((hp, arch_state(rng, space, index, hp, **how)) for hp in hps or HPS[space])


def folder(path, space, indices, *, seed=0, hps=None, padded=True, change=lambda state: state):
    """A NATS-Bench folder."""
    path.mkdir(parents=True)
    head = {"meta_archs": published(space), "total_archs": len(published(space))}
    head |= {"arch2infos": None, "evaluated_indexes": set()}
    write_bz2(path / "meta.pickle.pbz2", head)
    for index in indices:
        name = f"{index:06d}" if padded else f"{index}"
        write_bz2(path / f"{name}.pickle.pbz2", change(by_recipe(space, index, seed, hps)))
    return path


def single(path, space, indices, *, seed=0, hps=None):
    """A NATS-Bench single file."""
    infos = {index: by_recipe(space, index, seed, hps) for index in indices}
    return write_bz2(path, whole(space, infos, set(indices)))


def whole(space, infos, evaluated):
    head = {"meta_archs": published(space), "total_archs": len(published(space))}
    return head | {"arch2infos": infos, "evaluated_indexes": evaluated}


def write_bz2(path, value):
    with bz2.open(path, "wb", compresslevel=1) as file:
        pickle.dump(value, file, protocol=4)
    return path


def old_content(indices, *, version="v1_1", seed=0):
    """What a NAS-Bench-201 file holds."""
    infos = {}
    for index in indices:
        states = by_recipe("nb201", index, seed)
        infos[index] = {"full": states["200"], "less": states["12"]}
        if version == "v1_0":
            _as_first_published(infos[index], np.random.default_rng([seed, index, 1]))
    return whole("nb201", infos, sorted(indices))


def _as_first_published(states, rng):
    for trial in states["full"]["all_results"].values():
        trial |= {"train_times": None, "eval_times": {}, "latency": rng.uniform(0.01, 0.02, 9).tolist()}
    less = states["less"]
    kept = {key: trial for key, trial in less["all_results"].items() if key[0] == "cifar10-valid"}
    less |= {"all_results": kept, "dataset_seed": {"cifar10-valid": sorted(seed for _, seed in kept)}}
    for trial in kept.values():
        trial["latency"] = None
        trial["train_times"] = OrderedDict((e, float(rng.uniform(5, 6))) for e in trial["train_times"])
        trial["eval_times"] = {key: float(rng.uniform(1, 2)) for key in trial["eval_times"]}


def legacy(path, value):
    """A file of torch before 1.6, without torch."""
    with path.open("wb") as file:
        for part in (MAGIC, PROTOCOL, {"protocol_version": PROTOCOL, "little_endian": True}, value, []):
            pickle.dump(part, file, protocol=2)
    return path


def zipped(path, value):
    """A file of a later torch, without torch."""
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(value, protocol=2))
        file.writestr("archive/byteorder", "little")
        file.writestr("archive/version", "3\n")
    return path
