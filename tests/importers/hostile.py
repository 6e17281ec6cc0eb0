"""Pickles that want more than to be read: code, memory, or time without end."""

from __future__ import annotations

import builtins
import bz2
import os
import pickle
import struct
import subprocess

MARKER = "touched-by-a-pickle"


class Calls:
    """Pickles as a call of ``function``."""

    def __init__(self, function, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def text(value):
    return b"\x8c" + bytes([len(value)]) + value.encode()


def doubled(levels, kind=b"\x86"):
    """A pair of the same pair of the same pair ...: small to write, endless to walk or to hash."""
    return b"\x80\x04)\x94" + b"".join(b"h" + bytes([i]) + b"h" + bytes([i]) + kind + b"\x94" for i in range(levels))


def wrapped(value):
    """An architecture with ``value``, which leaves one object on the stack, in the place of results."""
    return b"\x80\x04}" + text("12") + value.removeprefix(b"\x80\x04") + b"s."


def calls():
    """What asks for functions."""
    command = f"touch {MARKER}"
    for protocol in range(6):
        yield f"os.system, protocol {protocol}", pickle.dumps(Calls(os.system, command), protocol)
        yield f"eval, protocol {protocol}", pickle.dumps(Calls(builtins.eval, f"open('{MARKER}', 'w')"), protocol)
    nested = Calls(getattr, Calls(__import__, "os"), "system")
    yield "nested reduce", pickle.dumps(nested, 4)
    yield "nested reduce as argument", pickle.dumps({"12": Calls(print, Calls(os.system, command))}, 4)
    yield "Popen", pickle.dumps(Calls(subprocess.Popen, command), 4)
    yield "exec in a list", pickle.dumps([Calls(builtins.exec, f"open('{MARKER}', 'w')")], 2)
    for module, name in [
        ("collections", "OrderedDict.__init__.__globals__"),
        ("numpy", "load"),
        ("numpy.core.multiarray", "_reconstruct"),
        ("torch", "load"),
        ("torch.storage", "sys"),
        ("copyreg", "_reconstructor"),
        ("nasgym.store", "Store"),
        ("", ""),
    ]:
        yield f"{module}.{name}", b"\x80\x04" + text(module) + text(name) + b"\x93)R."
    ordered = b"\x80\x04" + text("collections") + text("OrderedDict") + b"\x93"
    yield "an ordered dictionary with arguments", ordered + text("x") + b"\x85R."
    yield "attributes of an ordered dictionary", wrapped(ordered + b")R}" + text("__class__") + b"K\x01sb")
    yield "an object instead of a function", b"\x80\x04}" + b")R."
    yield "a list as arguments", ordered + b"]R."
    encode = b"\x80\x02c_codecs\nencode\n"
    yield "a codec", encode + b"X\x01\x00\x00\x00xX\x05\x00\x00\x00rot13\x86R."
    dtype = b"\x80\x02cnumpy\ndtype\nX\x02\x00\x00\x00"
    yield "numbers that are objects", dtype + b"O8K\x00K\x01\x87R."
    yield "new object", b"\x80\x04" + text("os") + text("system") + b"\x93)\x81."
    yield "old instance", b"(ios\nsystem\n."
    yield "old object", b"(cos\nsystem\nX\x01\x00\x00\x00xo."
    yield "extension", b"\x80\x02\x82\x01."


def bombs():
    """What asks for memory or time."""
    yield "a text of 4 GB", b"\x80\x04X\xff\xff\xff\xff."
    yield "a text of an exabyte", b"\x80\x04\x8d" + struct.pack("<Q", 1 << 60) + b"."
    yield "bytes of an exabyte", b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"."
    yield "bytes of 4 GB", b"\x80\x04B\xff\xff\xff\xff."
    yield "a bytearray of an exabyte", b"\x80\x05\x96" + struct.pack("<Q", 1 << 60) + b"."
    yield "a number of 2 GB", b"\x80\x02\x8b\xff\xff\xff\x7f."
    yield "a number of 255 bytes", b"\x80\x02\x8a\xff" + bytes(255) + b"."
    yield "a place of 4 billion", b"\x80\x02Nr\xff\xff\xff\xff."
    yield "a frame of an exabyte", b"\x80\x04\x95" + struct.pack("<Q", 1 << 60) + b"N."
    yield "a million places", b"\x80\x04N" + b"\x94" * (20 << 20)
    for name, step in [("marks", b"("), ("lists", b"]"), ("dictionaries", b"}"), ("sets", b"\x8f"), ("nones", b"N")]:
        yield f"millions of {name}", b"\x80\x04" + step * (30 << 20)
    yield "a tuple a million deep", b"\x80\x04)" + b"\x85" * (5 << 20)
    yield "copies", b"\x80\x04N" + b"2" * 1000 + b"."
    yield "a key that hashes for ever", b"\x80\x04}" + doubled(80)[2:] + b"Ns."
    yield "a set that hashes for ever", b"\x80\x04\x8f(" + doubled(80)[2:] + b"\x90."
    yield "results that are endless pairs", wrapped(doubled(80))
    yield "a dictionary of endless lists", b"\x80\x04" + doubled(80, b"\x86")[2:] + b"."
    yield "floats by the million", b"\x80\x04}(" + b"".join(b"K\x01G" + bytes(8) for _ in range(1 << 21)) + b"u."
    yield "a trillion places", b"\x80\x04" + b"j\xff\xff\xff\x7f."
    yield "pickle of the year 2100", b"\x80\xc8."
    yield "nothing", b""
    yield "only an end", b"."


def endless():
    """bz2 files whose pickle goes on for gigabytes."""
    zeros = bz2.compress(bytes(1 << 23)) * 1200  # 10 GB
    head = b"\x80\x04\x8e" + struct.pack("<Q", 10 << 30)
    yield "10 GB of weights", bz2.compress(head) + zeros
    yield "10 GB of texts", bz2.compress(b"\x80\x04](") + bz2.compress(b"\x8c\xff" + b"x" * 255) * 300_000
    yield "10 GB of numbers", bz2.compress(b"\x80\x04](") + bz2.compress(b"K\x00" * (1 << 22)) * 1200


def endless_architectures():
    """A single file of one architecture after the other, each nearly nothing."""
    one = b"J%s}" + text("12") + b"}s"
    return (
        b"\x80\x04}(" + text("arch2infos") + b"}(" + b"".join(one % struct.pack("<i", i) for i in range(10**5)) + b"uu."
    )
