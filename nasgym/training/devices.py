"""Which device trains, on how many threads, and what to say when its memory is full."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import torch

from nasgym.errors import DeviceMemoryExhausted, InvalidSetting

__all__ = ["describe", "device_kind", "memory_guard", "one_thread", "processor", "resolve_device"]

_KINDS = ("cpu", "cuda", "mps", "xpu")
_CPU_INFO = Path("/proc/cpuinfo")
_FULL = (
    "can't allocate memory", "CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED",
)  # fmt: skip
"""What the CPU's allocator, CUDA itself, cuBLAS and cuDNN say in errors that have no class of their own."""

_REMEDY = "Use a recipe with a smaller batch_size or fewer channels"


def resolve_device(name: str) -> torch.device:
    """Return the device called ``name``; ``"auto"`` is the first CUDA device where there is one, else the CPU.

    Raises:
        InvalidSetting: There is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        if device.type not in _KINDS:
            raise RuntimeError(f"devices are {', '.join(_KINDS)}")
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise InvalidSetting(f"device {name!r} cannot be used here ({reason}). Take 'auto' or 'cpu'.") from error
    return device


def device_kind(name: str) -> str:
    """Return the kind of a device by its name, ``"auto"`` too, whether or not there is such a device here.

    Raises:
        InvalidSetting: There is no such kind.
    """
    kind = name.partition(":")[0]
    if kind not in ("auto", *_KINDS):
        raise InvalidSetting(f"devices are auto, {', '.join(_KINDS)}; got {name!r}. Take 'auto' or 'cpu'.")
    return kind


def describe(device: torch.device) -> str:
    """Return the name of the hardware behind a device."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type} {processor()}"


@cache
def processor() -> str:
    """Return the model of this machine's processor as its maker names it, else the name of its architecture."""
    return _linux_model() or _mac_model() or platform.processor() or platform.machine()


def _linux_model() -> str:
    try:
        lines = _CPU_INFO.read_text(errors="replace").splitlines()
    except OSError:
        return ""
    pairs = (line.partition(":") for line in lines)
    return next((value.strip() for name, _, value in pairs if name.strip().lower() == "model name"), "")


def _mac_model() -> str:
    if platform.system() != "Darwin":
        return ""
    try:
        asked = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(asked, capture_output=True, text=True, check=True, timeout=5).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return ""


@contextmanager
def one_thread(when: bool = True) -> Iterator[None]:
    """Have PyTorch compute on one thread of the CPU where ``when``, and give it the threads that it had back."""
    before = torch.get_num_threads()
    torch.set_num_threads(1 if when else before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def memory_guard(what: str, remedy: str = _REMEDY) -> Iterator[None]:
    """Turn running out of memory into `DeviceMemoryExhausted`, with the remedy.

    Args:
        what: What was being done, in the user's words.
        remedy: What makes it smaller, beside another device.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        known = isinstance(error, (torch.OutOfMemoryError, MemoryError))
        if not known and not any(text in str(error) for text in _FULL):
            raise
        reason = (str(error) or "no memory").splitlines()[0]
        raise DeviceMemoryExhausted(
            f"{what} does not fit into the memory of the device ({reason}). {remedy}, "
            "end other programs on the device, or take another (device='cpu')."
        ) from error
