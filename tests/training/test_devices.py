"""Devices by name, and what hardware is behind them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from nasgym.errors import DeviceMemoryExhausted, InvalidSetting
from nasgym.training import devices


@pytest.fixture(autouse=True)
def _asked_anew() -> Iterator[None]:
    devices.processor.cache_clear()
    yield
    devices.processor.cache_clear()


def test_a_processor_has_its_makers_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    info = tmp_path / "cpuinfo"
    info.write_text("processor\t: 0\nmodel\t\t: 85\nmodel name\t: Maker Model 7: 2.5 GHz\nflags\t: a b\n")
    monkeypatch.setattr(devices, "_CPU_INFO", info)
    assert devices.describe(torch.device("cpu")) == "cpu Maker Model 7: 2.5 GHz"


@pytest.mark.parametrize("text", [None, "processor\t: 0\n"])
def test_without_a_name_the_architecture_has_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    info = tmp_path / "cpuinfo"
    if text is not None:
        info.write_text(text)
    monkeypatch.setattr(devices, "_CPU_INFO", info)
    monkeypatch.setattr("platform.system", lambda: "Linux")
    monkeypatch.setattr("platform.processor", lambda: "")
    monkeypatch.setattr("platform.machine", lambda: "riscv64")
    assert devices.describe(torch.device("cpu")) == "cpu riscv64"


def test_a_mac_is_asked_by_its_own_tool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "_CPU_INFO", tmp_path / "none")
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.processor", lambda: "arm")

    def run(words: list[str], **_: object) -> object:
        assert words[1:] == ["-n", "machdep.cpu.brand_string"]
        return type("Done", (), {"stdout": "Apple M9\n"})()

    monkeypatch.setattr("subprocess.run", run)
    assert devices.processor() == "Apple M9"
    devices.processor.cache_clear()

    def fail(*_: object, **__: object) -> object:
        raise FileNotFoundError

    monkeypatch.setattr("subprocess.run", fail)
    assert devices.processor() == "arm"


def test_kinds_of_devices() -> None:
    assert [devices.device_kind(name) for name in ("auto", "cpu", "cuda", "cuda:1", "mps")] == [
        "auto", "cpu", "cuda", "cuda", "mps",
    ]  # fmt: skip
    with pytest.raises(InvalidSetting, match="'gpu'"):
        devices.device_kind("gpu")


@pytest.mark.parametrize(("when", "inside"), [(True, 1), (False, 3)])
def test_one_thread_is_taken_where_it_is_asked_for_and_all_are_given_back(when: bool, inside: int) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with pytest.raises(KeyError), devices.one_thread(when):
            assert torch.get_num_threads() == inside
            raise KeyError
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(
    "error",
    [
        getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: out of memory\nCUDA kernel errors might be late"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    ],
)
def test_memory_that_a_library_of_cuda_lacks_is_named(error: Exception) -> None:
    with pytest.raises(DeviceMemoryExhausted, match=r"a search does not fit .*(out of memory|ALLOC_FAILED).*smaller"):
        with devices.memory_guard("a search"):
            raise error


def test_other_errors_of_cuda_pass() -> None:
    error = getattr(torch, "AcceleratorError", RuntimeError)("CUDA error: device-side assert triggered")
    with pytest.raises(type(error), match="assert triggered"), devices.memory_guard("a search"):
        raise error
