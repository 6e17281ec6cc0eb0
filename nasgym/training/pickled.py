"""Published batches of images: pickles of plain dictionaries and arrays, read so that no file can run code."""

from __future__ import annotations

import hashlib
import io
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy._core import multiarray

from nasgym.errors import DatasetUnavailable

__all__ = ["read_batch"]

_ARRAY_MODULES = ("numpy.core.multiarray", "numpy._core.multiarray")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """Do what ``_codecs.encode`` does in pickles of bytes, for the one encoding that occurs in them."""
    if encoding != "latin1":
        raise pickle.UnpicklingError(f"the encoding {encoding!r} is not allowed")
    return text.encode("latin1")


class _Unpickler(pickle.Unpickler):
    """Knows numpy arrays and nothing else that could be called."""

    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        if module in _ARRAY_MODULES and name in ("_reconstruct", "scalar"):
            allowed: Callable[..., Any] = getattr(multiarray, name)
            return allowed
        if module == "numpy" and name in ("ndarray", "dtype"):
            return np.ndarray if name == "ndarray" else np.dtype
        if (module, name) == ("_codecs", "encode"):
            return _encode
        raise pickle.UnpicklingError(f"{module}.{name} is not allowed in a batch of images")


def read_batch(path: Path, md5: str | None, remedy: str) -> dict[str, Any]:
    """Return the dictionary in a published batch file.

    Args:
        path: The file.
        md5: What its md5 must be; None: not checked.
        remedy: How to get the right file, one sentence.

    Raises:
        DatasetUnavailable: The file is missing, has another md5, or is no dictionary of arrays.
    """
    if not path.is_file():
        raise DatasetUnavailable(f"{path} is missing. {remedy}")
    content = path.read_bytes()
    found = hashlib.md5(content, usedforsecurity=False).hexdigest()
    if md5 is not None and found != md5:
        raise DatasetUnavailable(f"{path} is not the published file: its md5 is {found}, it must be {md5}. {remedy}")
    try:
        batch = _Unpickler(io.BytesIO(content), encoding="latin1").load()
    except Exception as error:  # a damaged pickle can raise anything
        raise DatasetUnavailable(f"{path} cannot be read ({error}). {remedy}") from error
    if not isinstance(batch, dict):
        raise DatasetUnavailable(f"{path} holds a {type(batch).__name__} instead of a dictionary. {remedy}")
    return batch
