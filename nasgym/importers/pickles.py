"""A pickle machine that can do nothing but read results: the official files, one architecture in memory at a time.

Pickle is a language of small steps over a stack, and a file may ask for any function of any module. This machine knows
the steps that the official files take, and of functions only those in `_GLOBALS`, none of which is called: ordered
dictionaries and numpy's float64 are made here, and weights are skipped, so that neither torch nor the memory for them
is needed. Everything else is refused by name. What one architecture may take is bounded (`_STEPS`, and its bytes in
`nasgym.importers.pickle_bytes`), and so is what it may refer back to (`nasgym.importers.pickle_memo`).
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

import numpy as np

from nasgym.errors import InvalidArchive
from nasgym.importers.pickle_bytes import AHEAD, PickleBytes
from nasgym.importers.pickle_memo import Memo
from nasgym.importers.pickle_values import GLOBALS, LEFT_OUT, DType, Global, build, called

__all__ = ["LEFT_OUT", "PickleMachine"]

_STEPS = 400_000
"""Steps per architecture, a run of items being one; the published ones take 2,000, and 130,000 with weights."""
_DEPTH = 64
_WATCHED = "arch2infos"
_NAMES = {ord(op.code): op.name for op in pickletools.opcodes}
_U16, _I32, _U32, _U64 = struct.Struct("<H"), struct.Struct("<i"), struct.Struct("<I"), struct.Struct("<Q")
_F64 = struct.Struct(">d")

# Runs of items of a dictionary of numbers, which is what the files are made of. Each begins where a key does.
_BY_EPOCH = re.compile(rb"(?:K.G.{8}){4,}", re.DOTALL)
_BY_OLD_NAME = re.compile(rb"(?:j.{4}G.{8}){4,}", re.DOTALL)
_BY_OLD_NAME_1 = re.compile(rb"(?:h.G.{8}){4,}", re.DOTALL)
_BY_NEW_NAME = re.compile(rb"(?:\x8c[\x03-\x20][A-Za-z_\-]+@[0-9]+\x94G.{8}){4,}", re.DOTALL)
_NEW_NAME = re.compile(rb"\x8c(.)([A-Za-z_\-]+@[0-9]+)\x94G.{8}", re.DOTALL)
_EPOCH_ITEM = np.dtype([("k", "u1"), ("key", "u1"), ("g", "u1"), ("value", ">f8")])
_OLD_ITEM = np.dtype([("j", "u1"), ("key", "<u4"), ("g", "u1"), ("value", ">f8")])


class PickleMachine(PickleBytes):
    """Reads one pickle.

    Args:
        read: Gives up to so many next bytes of the pickle, and none at its end.
        where: Which file, for messages.
        stream: Hand out the items of the dictionary called ``arch2infos`` one by one and forget them.
    """

    def __init__(self, read: Callable[[int], bytes], where: str, *, stream: bool = False) -> None:
        super().__init__(read, where)
        self._stream = stream
        self._stack: list[Any] = []
        self._outer: list[list[Any]] = []
        self._memo = Memo(where)
        self._watched: object = None
        self._frame: object = None  # the stack while items of the watched dictionary are put on it
        self._ready: list[tuple[object, object]] = []
        self._steps = 0

    def load(self) -> Any:
        """Return what is pickled; raises `InvalidArchive`."""
        for _ in self.items():
            pass
        return self.result

    def items(self) -> Iterator[tuple[object, object]]:
        """Iterate over the streamed items; at the end `result` is the rest of what is pickled.

        Raises:
            InvalidArchive: The pickle is cut off, is none, or asks for more than results.
        """
        try:
            while True:
                if len(self._data) - self._at < AHEAD and not self._ended:
                    self._refill()
                self._steps += 1
                if self._steps > _STEPS:
                    raise self._fault(f"one architecture takes more than {_STEPS:,} steps")
                op = self._data[self._at]
                self._at += 1
                if op == _STOP:
                    self.result = self._stack.pop()
                    return
                _STEPS_OF[op](self)
                if self._ready:
                    yield from self._ready
                    self._ready.clear()
        except KeyError:
            raise self._fault(f"it takes the step {_NAMES.get(op, hex(op))}, which no official file does") from None
        except (IndexError, struct.error) as error:
            cut = self._ended and (isinstance(error, struct.error) or self._at >= len(self._data))
            raise self._fault("it is cut off" if cut else "it takes a wrong step") from None
        except (TypeError, ValueError, AttributeError, UnicodeDecodeError, OverflowError) as error:
            if isinstance(error, InvalidArchive):
                raise
            raise self._fault(f"it takes a wrong step ({type(error).__name__})") from None

    # Items handed out

    def _hand_out(self, key: object, value: object) -> None:
        self._ready.append((key, value))
        self._memo.seal()
        self._steps = self._skipped = 0
        self._used = len(self._data) - self._at

    # Steps

    def _mark(self) -> None:
        if len(self._outer) > _DEPTH:
            raise self._fault(f"it is nested more than {_DEPTH} deep")
        self._outer.append(self._stack)
        inner: list[Any] = []
        if self._watched is not None and self._stack and self._stack[-1] is self._watched:
            self._frame = inner
        self._stack = inner

    def _unmark(self) -> list[Any]:
        items, self._stack = self._stack, self._outer.pop()
        return items

    def _whole_number(self, form: struct.Struct) -> None:
        if self._stack is self._frame and len(self._stack) == 2:
            self._hand_out(*self._stack)
            self._stack.clear()
        self._stack.append(self._number(form))

    def _small(self) -> None:
        found = _BY_EPOCH.match(self._data, self._at - 1)
        if found is None or self._stack is self._frame:
            if self._stack is self._frame and len(self._stack) == 2:
                self._hand_out(*self._stack)
                self._stack.clear()
            self._stack.append(self._data[self._at])
            self._at += 1
            return
        run = np.frombuffer(found.group(), _EPOCH_ITEM)
        self._push_run(run["key"].tolist(), run["value"].tolist(), found.end())

    def _push_run(self, keys: list[Any], values: list[float], end: int) -> None:
        items: list[Any] = [None] * (2 * len(keys))
        items[0::2], items[1::2] = keys, values
        self._stack += items
        self._at = end

    def _short_text(self) -> None:
        found = _BY_NEW_NAME.match(self._data, self._at - 1)
        if found is None:
            text = self._take(self._number(_U8)).decode("utf-8", "surrogatepass")
            return self._stack.append(text)
        run = found.group()
        pairs = _NEW_NAME.findall(run)
        keys = [name.decode() for _, name in pairs]
        if [length[0] for length, _ in pairs] != [*map(len, keys)]:
            raise self._fault("a text is not as long as it says")
        values = np.frombuffer(_NEW_NAME.sub(_value_of, run), ">f8").tolist()
        for key in keys:
            self._memo.append(key)
        return self._push_run(keys, values, found.end())

    def _get(self) -> None:
        found = _BY_OLD_NAME_1.match(self._data, self._at - 1)
        if found is None:
            return self._stack.append(self._memo.get(self._number(_U8)))
        run = np.frombuffer(found.group(), _EPOCH_ITEM)
        return self._push_run([self._memo.get(i) for i in run["key"].tolist()], run["value"].tolist(), found.end())

    def _long_get(self) -> None:
        found = _BY_OLD_NAME.match(self._data, self._at - 1)
        if found is None:
            return self._stack.append(self._memo.get(self._number(_U32)))
        run = np.frombuffer(found.group(), _OLD_ITEM)
        return self._push_run([self._memo.get(i) for i in run["key"].tolist()], run["value"].tolist(), found.end())

    def _empty_dict(self) -> None:
        made: dict[Any, Any] = {}
        if self._stream and self._stack and self._stack[-1] == _WATCHED and self._watched is None:
            self._watched = made
        self._stack.append(made)

    def _set_items(self) -> None:
        items = self._unmark()
        target = self._stack[-1]
        if len(items) % 2:
            raise self._fault("a key has no value")
        if target is self._watched:
            self._frame = None
            for at in range(0, len(items), 2):
                self._hand_out(items[at], items[at + 1])
            return
        self._update(target, items[0::2], items[1::2])

    def _set_item(self) -> None:
        value, key = self._stack.pop(), self._stack.pop()
        if self._stack[-1] is self._watched:
            return self._hand_out(key, value)
        return self._update(self._stack[-1], [key], [value])

    def _update(self, target: object, keys: list[Any], values: list[Any]) -> None:
        """Put items into a dictionary; only flat keys are hashed, since nested ones could take forever."""
        if type(target) not in (dict, OrderedDict):
            raise self._fault(f"it gives items to a {type(target).__name__}")
        for kind in set(map(type, keys)) - {int, str}:
            if kind is not tuple or not all(_is_flat(key) for key in keys if type(key) is tuple):
                raise self._fault(f"a key is a {kind.__name__}")
        target.update(zip(keys, values, strict=True))  # type: ignore[attr-defined]

    def _append(self) -> None:
        item = self._stack.pop()
        self._extend([item])

    def _extend(self, items: list[Any]) -> None:
        target = self._stack[-1]
        if type(target) is not list:
            raise self._fault(f"it appends to a {type(target).__name__}")
        target.extend(items)

    def _add_items(self) -> None:
        items = self._unmark()
        target = self._stack[-1]
        if type(target) is not set or set(map(type, items)) - {int, str}:
            raise self._fault("it makes a set of other things than numbers")
        target.update(items)

    def _tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError
        items = tuple(self._stack[-count:])
        self._stack[-count:] = [items]

    def _long(self) -> None:
        count = self._number(_U8)
        if count > 16:
            raise self._fault(f"a whole number of {count} bytes")
        self._stack.append(int.from_bytes(self._take(count), "little", signed=True))

    def _put(self, form: struct.Struct) -> None:
        self._memo.put(self._number(form), self._stack[-1])

    def _global(self, module: object, name: object) -> None:
        known = GLOBALS.get((module, name)) if type(module) is str and type(name) is str else None
        if known is None:
            asked = f"{module[:80]}.{name[:80]}" if isinstance(module, str) and isinstance(name, str) else "no name"
            raise self._fault(f"it asks for {asked}, which no results need, and which is not run")
        self._stack.append(known)

    def _stack_global(self) -> None:
        name, module = self._stack.pop(), self._stack.pop()
        self._global(module, name)

    def _reduce(self) -> None:
        arguments, function = self._stack.pop(), self._stack.pop()
        if not isinstance(function, Global) or type(arguments) is not tuple:
            raise self._fault("it calls what is no function")
        self._stack.append(called(function, arguments, self._fault))

    def _build(self) -> None:
        state = self._stack.pop()
        target = self._stack[-1]
        if type(target) is OrderedDict and type(state) is dict:
            return  # torch's notes on weights
        if not isinstance(target, DType):
            raise self._fault(f"it sets the state of a {type(target).__name__}")
        build(target, state, self._fault)

    def _protocol(self) -> None:
        if self._number(_U8) > 5:
            raise self._fault("it is of a newer kind of pickle")

    def _persistent(self) -> None:
        self._stack[-1] = LEFT_OUT  # torch refers to the bytes of a tensor elsewhere in the file


_U8 = struct.Struct("<B")
_STOP: Final = ord(".")


def _value_of(item: re.Match[bytes]) -> bytes:
    return item.group()[-8:]


def _is_flat(key: tuple[Any, ...]) -> bool:
    return len(key) <= 4 and all(type(part) in (int, str) for part in key)


_Step = Callable[[PickleMachine], None]


def _steps() -> Mapping[int, _Step]:
    """Return what each step does."""
    machine = PickleMachine
    named: dict[str, _Step] = {
        "PROTO": machine._protocol,
        "FRAME": lambda m: m._number(_U64),
        "MARK": machine._mark,
        "NONE": lambda m: m._stack.append(None),
        "NEWTRUE": lambda m: m._stack.append(True),
        "NEWFALSE": lambda m: m._stack.append(False),
        "BININT": lambda m: m._whole_number(_I32),
        "BININT1": machine._small,
        "BININT2": lambda m: m._whole_number(_U16),
        "LONG1": machine._long,
        "BINFLOAT": lambda m: m._stack.append(m._number(_F64)),
        "SHORT_BINUNICODE": machine._short_text,
        "BINUNICODE": lambda m: m._stack.append(m._take(m._number(_U32)).decode("utf-8", "surrogatepass")),
        "SHORT_BINBYTES": lambda m: m._stack.append(m._bytes(m._number(_U8))),
        "BINBYTES": lambda m: m._stack.append(m._bytes(m._number(_U32))),
        "BINBYTES8": lambda m: m._stack.append(m._bytes(m._number(_U64))),
        "EMPTY_DICT": machine._empty_dict,
        "EMPTY_LIST": lambda m: m._stack.append([]),
        "EMPTY_SET": lambda m: m._stack.append(set()),
        "EMPTY_TUPLE": lambda m: m._stack.append(()),
        "TUPLE": lambda m: _put_tuple(m, m._unmark()),
        "TUPLE1": lambda m: m._tuple(1),
        "TUPLE2": lambda m: m._tuple(2),
        "TUPLE3": lambda m: m._tuple(3),
        "APPEND": machine._append,
        "APPENDS": lambda m: m._extend(m._unmark()),
        "ADDITEMS": machine._add_items,
        "SETITEM": machine._set_item,
        "SETITEMS": machine._set_items,
        "MEMOIZE": lambda m: m._memo.append(m._stack[-1]),
        "BINPUT": lambda m: m._put(_U8),
        "LONG_BINPUT": lambda m: m._put(_U32),
        "BINGET": machine._get,
        "LONG_BINGET": machine._long_get,
        "GLOBAL": lambda m: m._global(m._line(), m._line()),
        "STACK_GLOBAL": machine._stack_global,
        "REDUCE": machine._reduce,
        "BUILD": machine._build,
        "BINPERSID": machine._persistent,
    }
    codes = {name: code for code, name in _NAMES.items()}
    return {codes[name]: step for name, step in named.items()}


def _put_tuple(machine: PickleMachine, items: list[Any]) -> None:
    machine._stack.append(tuple(items))


_STEPS_OF = _steps()
