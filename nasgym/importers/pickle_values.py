"""What a pickle of results may ask for, and what it gets: nothing of other modules is imported or called."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Any

import numpy as np

from nasgym.errors import InvalidArchive

__all__ = ["GLOBALS", "LEFT_OUT", "DType", "Global", "LeftOut", "build", "called"]

_Fault = Callable[[str], InvalidArchive]


class Global(Enum):
    """A function that official files name."""

    ORDERED_DICT = "collections.OrderedDict"
    SCALAR = "numpy.core.multiarray.scalar"
    DTYPE = "numpy.dtype"
    ENCODE = "_codecs.encode"
    TENSOR = "a tensor of torch"


class LeftOut(Enum):
    """Stands where weights were."""

    WEIGHTS = "weights"


LEFT_OUT = LeftOut.WEIGHTS
_NUMBERS = ("f8", "f4", "i8")
_STORAGES = "Float Double Half BFloat16 Long Int Short Char Byte Bool".split()
GLOBALS: Mapping[tuple[object, object], Global] = MappingProxyType(
    {
        ("collections", "OrderedDict"): Global.ORDERED_DICT,
        ("numpy.core.multiarray", "scalar"): Global.SCALAR,
        ("numpy._core.multiarray", "scalar"): Global.SCALAR,  # its name since numpy 2
        ("numpy", "dtype"): Global.DTYPE,
        ("_codecs", "encode"): Global.ENCODE,
        ("torch._utils", "_rebuild_tensor_v2"): Global.TENSOR,
        ("torch._utils", "_rebuild_parameter"): Global.TENSOR,
        ("torch.storage", "_load_from_bytes"): Global.TENSOR,
        **{("torch", f"{kind}Storage"): Global.TENSOR for kind in _STORAGES},
    }
)


@dataclass
class DType:
    """A numpy type of numbers as pickled: its byte order comes after it was put aside."""

    code: str
    order: str = "="


def called(function: Global, arguments: tuple[Any, ...], fault: _Fault) -> Any:
    """Return what a function makes of its arguments, or raise what ``fault`` makes of a sentence."""
    if function is Global.ORDERED_DICT and not arguments:
        return OrderedDict()
    if function is Global.TENSOR:
        return LEFT_OUT
    if function is Global.DTYPE and arguments and type(arguments[0]) is str and arguments[0] in _NUMBERS:
        return DType(arguments[0])
    if function is Global.SCALAR and len(arguments) == 2:
        kind, data = arguments
        if isinstance(kind, DType) and kind.order == "<" and type(data) is bytes and len(data) == int(kind.code[1]):
            return np.frombuffer(data, f"<{kind.code}")[0]
    if function is Global.ENCODE and len(arguments) == 2:
        text, encoding = arguments
        if type(text) is str and len(text) <= 64 and type(encoding) is str and encoding == "latin1":
            return text.encode("latin1")
    raise fault(f"it calls {function.value} in a way that no official file does")


def build(target: DType, state: object, fault: _Fault) -> None:
    """Give a numpy type its pickled state."""
    if type(state) is not tuple or len(state) != 8 or type(state[1]) is not str or state[1] != "<":
        raise fault("it describes a type of numbers that no official file has")
    target.order = state[1]
