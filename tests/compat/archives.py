"""Official archives as the originals load them: made-up ones with every oddity, and the real samples where they are."""

import bz2
import copy
import pickle

import numpy as np

from nasgym.spaces import get_space
from tests.importers.official_samples import HPS, REAL, arch_state

FOLDERS = {"nb201": "NATS-tss-v1_0-3ffb9-simple", "nats-sss": "NATS-sss-v1_0-50262-simple"}
REAL_INDEXES = (0, 11, 284)
USUAL, FEW_SEEDS, GAPS, WRONG_SIZES, NO_LATENCY, MEASURED, NO_TIMES, BATCHES = 3, 17, 123, 200, 1462, 6111, 9000, 15_624
"""Made-up architectures: as nearly all are, and each with an oddity of its own."""
EVERY = (USUAL, FEW_SEEDS, GAPS, WRONG_SIZES, NO_LATENCY, MEASURED, NO_TIMES, BATCHES)


def strings(space):
    found = get_space(space)
    return found.to_str(found.from_index(np.arange(found.size)))


def made_up(space):
    """Return ``arch2infos`` of a synthetic archive: index -> recipe -> ``ArchResults.state_dict()``."""
    rng = np.random.default_rng(8)
    return {index: {hp: _state(rng, space, index, hp) for hp in HPS[space]} for index in EVERY}


def _state(rng, space, index, hp):
    long = hp in ("200", "90")
    if index == FEW_SEEDS and long and space == "nb201":
        state = arch_state(rng, space, index, hp, {"cifar10-valid": [888, 777], "cifar10": [888], "cifar100": [777]})
    else:
        state = arch_state(rng, space, index, hp, times=index != NO_TIMES)
    trials = state["all_results"]
    if index == GAPS:
        first = trials["cifar100", next(seed for name, seed in trials if name == "cifar100")]
        for what in ("eval_acc1es", "eval_losses"):
            first[what].pop("x-test@0", None)
            first[what].pop(f"ori-test@{int(hp) // 2}", None)
    if index == WRONG_SIZES:
        for (_, seed), trial in trials.items():
            if seed in (777, 999) and len({s for _, s in trials}) > 2:
                trial["params"], trial["flop"] = np.float64(0.640399), 15.5
    if index == NO_LATENCY:
        for number, trial in enumerate(trials.values()):
            trial["latency"] = None if number % 2 else trial["latency"]
    if index == MEASURED:
        for trial in trials.values():
            trial["train_times"] = type(trial["train_times"])((e, 1.25 + 0.1 * e) for e in trial["train_times"])
            trial["eval_times"] = {k: 0.5 + n / 64 for n, k in enumerate(trial["eval_times"])}
    if index == BATCHES:
        for trial in trials.values():
            trial["latency"] = [np.float64(0.01), np.float64(0.0125), np.float64(0.03)]
    return state


def real(space):
    """Return ``arch2infos`` of the real samples, or None where they are not here."""
    files = {index: REAL / FOLDERS[space] / f"{index:06d}.pickle.pbz2" for index in REAL_INDEXES}
    if not all(file.is_file() for file in files.values()):
        return None
    return {index: pickle.loads(bz2.decompress(file.read_bytes())) for index, file in files.items()}


def as_nats(infos, space):
    """Return what a single file of NATS-Bench holds."""
    archs = strings(space)
    return {"meta_archs": archs, "total_archs": len(archs), "arch2infos": infos, "evaluated_indexes": set(infos or ())}


def as_nas_201(infos):
    """Return what a file of NAS-Bench-201 holds."""
    old = {index: {"full": by_hp["200"], "less": by_hp["12"]} for index, by_hp in infos.items()}
    return {**as_nats(old, "nb201"), "evaluated_indexes": sorted(infos)}


def write_folder(folder, infos, space):
    """Write a folder of NATS-Bench, as the originals' fast mode reads it."""
    folder.mkdir(parents=True)
    meta = as_nats(None, space)
    contents = {"meta": meta, **{f"{index:06d}": copy.deepcopy(by_hp) for index, by_hp in infos.items()}}
    for name, content in contents.items():
        packed = bz2.compress(pickle.dumps(content, protocol=4), 1)
        (folder / f"{name}.pickle.pbz2").write_bytes(packed)
    return folder


def write_file(file, infos, space):
    """Write a single file of NATS-Bench."""
    file.write_bytes(bz2.compress(pickle.dumps(as_nats(infos, space), protocol=4), 1))
    return file
