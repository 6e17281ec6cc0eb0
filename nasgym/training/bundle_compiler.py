"""Compiles the kernels with the machine's C compiler, once, and loads them; without a compiler there are none."""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from importlib.resources import files
from pathlib import Path

from nasgym.folders import user_folder

__all__ = ["Context", "load_kernels"]

_log = logging.getLogger(__name__)
_SOURCE = "bundle_kernels.c"
_COMPILERS = ("cc", "gcc", "clang")
_FLAGS = ("-O3", "-std=gnu11", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-shared", "-fPIC")
_TUNING = (("-march=native",), ("-mcpu=native",), ())  # the first that the compiler knows
_PATIENCE = 120.0  # seconds for one compilation


class Context(ctypes.Structure):
    """What the kernels work on, field by field as in the source."""

    _fields_ = [
        ("state", ctypes.c_void_p),
        ("scratch", ctypes.c_void_p),
        ("tables", ctypes.c_void_p),
        ("stride", ctypes.c_int64),
        ("active", ctypes.c_int64),
        ("n", ctypes.c_int64),
        ("mask", ctypes.c_void_p),
        ("labels", ctypes.c_void_p),
        ("sums", ctypes.c_void_p),
        ("rate", ctypes.c_float),
        ("momentum", ctypes.c_float),
        ("decay", ctypes.c_float),
        ("nesterov", ctypes.c_int),
    ]


@cache
def load_kernels() -> ctypes.CDLL | None:
    """Return the compiled kernels, or None where there is no working C compiler (``NASGYM_COMPILE=0``: none either).

    They are compiled at the first call on this kind of processor and kept in the user's cache directory. ``CC`` names
    another compiler than the first of cc, gcc and clang.
    """
    if os.environ.get("NASGYM_COMPILE", "1") == "0":
        return None
    try:
        library = ctypes.CDLL(str(_compiled()))
    except (OSError, subprocess.SubprocessError) as error:
        _log.info("the kernels for bundles cannot be compiled (%s); PyTorch computes them, more slowly.", error)
        return None
    library.nasgym_run.argtypes = [ctypes.POINTER(Context), ctypes.c_void_p, ctypes.c_int64]
    library.nasgym_run.restype = ctypes.c_int
    return library


def _compiled() -> Path:
    """Return the compiled library, made now where it is not there yet."""
    source = files("nasgym.training").joinpath(_SOURCE).read_bytes()
    compiler = _compiler()
    identity = "\n".join([" ".join(compiler), *_FLAGS, platform.machine(), _processor()])
    name = hashlib.sha256(source + identity.encode()).hexdigest()[:24]
    folder = user_folder("kernels", "cache")
    library = folder / f"bundle-{name}.so"
    if not library.is_file():
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=folder) as work:
            made = _compile(compiler, source, Path(work))
            made.replace(library)  # whole or not at all, whoever else compiles
    return library


def _compiler() -> list[str]:
    if named := os.environ.get("CC"):
        return shlex.split(named)
    found = next((path for name in _COMPILERS if (path := shutil.which(name))), None)
    if found is None:
        raise OSError(f"there is no {', '.join(_COMPILERS[:-1])} or {_COMPILERS[-1]}")
    return [found]


def _compile(compiler: list[str], source: bytes, work: Path) -> Path:
    (work / _SOURCE).write_bytes(source)
    made = work / "kernels.so"
    for tuning in _TUNING:
        command = [*compiler, *_FLAGS, *tuning, str(work / _SOURCE), "-o", str(made), "-lm"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=_PATIENCE, check=False)
        if done.returncode == 0:
            return made
    raise OSError(f"{compiler[0]} failed: {done.stderr.strip()[:500]}")


def _processor() -> str:
    """Return what the processor can do, so that a shared home directory serves different machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
        return next(line for line in lines if line.lower().startswith(("flags", "features")))
    except (OSError, StopIteration):
        return platform.processor()
