"""Checkpoints are read to the CPU, from where each part goes to its own device, and outlive a disk's faults."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
import torch

from nasgym.training.checkpoints import Checkpoint


def test_the_steps_that_adam_counts_stay_on_the_cpu_and_the_rest_goes_to_the_device(tmp_path: Path) -> None:
    """Adam reads its steps on the host: on a GPU it would wait for each."""
    saved = torch.zeros(3, requires_grad=True)
    optimizer = torch.optim.Adam([saved])
    saved.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    Checkpoint(tmp_path, {}, 0.0).save(lambda: {"optimizer": optimizer.state_dict()}, [])
    weight = torch.zeros(3, requires_grad=True, device="meta")  # stands for a GPU
    again = torch.optim.Adam([weight])
    state = Checkpoint(tmp_path, {}, 0.0).load()
    assert state is not None
    again.load_state_dict(state["networks"]["optimizer"])
    assert again.state[weight]["step"].device.type == "cpu" and float(again.state[weight]["step"]) == 1.0
    assert again.state[weight]["exp_avg"].device.type == "meta"


def test_a_file_that_cannot_be_deleted_is_told_and_costs_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = tmp_path / "file"
    file.touch()
    Checkpoint(file, {}, 0.0).remove()  # no folder: an OSError other than that nothing is there
    assert "could not be deleted" in caplog.text and caplog.records[0].levelno == logging.WARNING
    caplog.clear()
    Checkpoint(tmp_path, {}, 0.0).remove()
    assert not caplog.records, "nothing was saved"
