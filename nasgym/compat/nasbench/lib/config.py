"""The settings of NAS-Bench-101; the module of that name of the original, which reads them from absl's flags."""

from __future__ import annotations

from typing import Any

from nasgym.spaces.nb101.graphs import MAX_EDGES, MAX_VERTICES, OPERATIONS

__all__ = ["build_config"]


def build_config() -> dict[str, Any]:
    """Return the settings by name, with their published values; the caller's to change.

    `nasgym.compat.nasbench.api.NASBench` heeds those of the search space and ``num_repeats``, its ``evaluate`` those of
    the network and the training.
    """
    return {
        "train_data_files": [],
        "valid_data_file": "",
        "test_data_file": "",
        "sample_data_file": "",
        "data_format": "channels_last",
        "num_labels": 10,
        "module_vertices": MAX_VERTICES,
        "max_edges": MAX_EDGES,
        "available_ops": list(OPERATIONS),
        "stem_filter_size": 128,
        "num_stacks": 3,
        "num_modules_per_stack": 3,
        "batch_size": 256,
        "train_epochs": 108,
        "train_seconds": 4.0 * 60 * 60,
        "learning_rate": 0.1,
        "lr_decay_method": "COSINE_BY_STEP",
        "momentum": 0.9,
        "weight_decay": 1e-4,
        "max_attempts": 5,
        "intermediate_evaluations": ["0.5"],
        "num_repeats": 3,
        "use_tpu": True,
        "tpu_iterations_per_loop": 100,
        "tpu_num_shards": 2,
    }
