"""The containers of the official files: which kind a path is, whether it is whole, and its architectures one by one.

=================  ==========================================================================================
kind               what it is
=================  ==========================================================================================
``folder``         NATS-Bench ``-simple`` or ``-full``: ``meta.pickle.pbz2`` and a file per architecture
``bz2``            NATS-Bench ``.pickle.pbz2``: one deflated pickle of everything
``legacy``         NAS-Bench-201 ``.pth`` as torch wrote it in 2020: pickles one after the other
``zip``            NAS-Bench-201 ``.pth`` saved again by a later torch: a pickle in a zip
=================  ==========================================================================================
"""

from __future__ import annotations

import bz2
import hashlib
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from nasgym.errors import InvalidArchive
from nasgym.importers.pickles import PickleMachine
from nasgym.spaces import get_space

__all__ = ["Archive", "Kind", "open_archive"]

Kind: TypeAlias = Literal["folder", "bz2", "legacy", "zip"]
Record: TypeAlias = tuple[int, Mapping[str, Any]]
"""An architecture and its results by recipe, as the files call them (``"12"``, ``"200"``)."""
OFFICIAL = "NAS-Bench-201-v1_1-096897.pth, NATS-tss-v1_0-3ffb9-simple.tar or NATS-sss-v1_0-50262-simple.tar"
_REMEDY = f"Download {OFFICIAL} (and unpack what is packed) from where their projects say."
_FILE = re.compile(r"0*(\d{1,6})\.pickle\.pbz2")
_NAMED_AFTER_MD5 = re.compile(r"(NAS-Bench-201-v1_[01]|NATS-[ts]ss-v1_0)-([0-9a-f]{5,6})\.(pth|pickle\.pbz2)")
_BZ2_END = 0x177245385090  # the 48 bits with which a stream of bz2 ends, at any bit
_LEGACY_HEAD = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."
"""The first pickle of a file of torch before 1.6: its magic number."""
_OLD_RECIPES = {"less": "12", "full": "200"}
_FIELDS = {"meta_archs", "total_archs", "arch2infos", "evaluated_indexes"}
_HASHED_AT_ONCE = 1 << 22


@dataclass(frozen=True)
class Archive:
    """An official file or folder.

    Attributes:
        path: Where it is.
        kind: Its container.
        space: The search space of its architectures.
    """

    path: Path
    kind: Kind
    space: str

    def files(self) -> dict[int, Path]:
        """Return the files of a folder by architecture, in order; none for other kinds."""
        if self.kind != "folder":
            return {}
        found: dict[int, Path] = {}
        for file in sorted(self.path.iterdir()):
            match = _FILE.fullmatch(file.name)
            if match and int(match[1]) < get_space(self.space).size:
                found.setdefault(int(match[1]), file)  # padded names come first
        return dict(sorted(found.items()))

    def record(self, index: int, file: Path) -> Record:
        """Return what a file of a folder holds; raises `InvalidArchive`."""
        with _named_errors(file), bz2.open(file) as stream:
            machine = PickleMachine(stream.read1, str(file))
            return index, _by_recipe(machine.load(), f"{file}")

    def records(self) -> Iterator[Record]:
        """Iterate over the architectures of a single file, one in memory at a time.

        Raises:
            InvalidArchive: The file is cut off, foreign, or its architectures are others than published.
        """
        with _named_errors(self.path), self._pickle() as read:
            machine = PickleMachine(read, str(self.path), stream=True)
            seen: set[int] = set()
            size = get_space(self.space).size
            for key, value in machine.items():
                if type(key) is not int or not 0 <= key < size or key in seen:
                    raise _fault(self.path, "an architecture is numbered twice, or not as published")
                seen.add(key)
                yield key, _by_recipe(value, f"{self.path}, architecture {key}")
            self._check_head(machine.result)
            if not seen:
                raise _fault(self.path, "it holds no architecture")

    def _check_head(self, head: object) -> None:
        """Raise `InvalidArchive` unless what stands beside the architectures is as published."""
        if not isinstance(head, dict) or set(head) != _FIELDS:
            raise _fault(self.path, "it is no dictionary of architectures and results")
        if head["meta_archs"] != _published_strings(self.space):
            raise _fault(self.path, f"its architectures are not those of {self.space} in their order")

    @contextmanager
    def _pickle(self) -> Iterator[Callable[[int], bytes]]:
        """Open the pickle of a single file."""
        if self.kind == "zip":
            with zipfile.ZipFile(self.path) as packed, packed.open(_name_in_zip(packed, self.path)) as member:
                yield member.read
        elif self.kind == "bz2":
            with bz2.open(self.path) as stream:
                yield stream.read1
        else:
            with self.path.open("rb") as file:
                yield _after_heads(file, self.path)


def open_archive(path: Path | str, space: str) -> Archive:
    """Return an official file or folder, after the checks that can be made without reading it whole.

    A file that is named after its md5, as the published ones are, is read once for that.

    Args:
        path: A folder, a ``.pickle.pbz2`` or a ``.pth``.
        space: The search space that it should be of.

    Raises:
        InvalidArchive: It is none, is cut off, is another space's, or its md5 is not the one in its name.
    """
    path = Path(path)
    with _named_errors(path):
        archive = Archive(path, _kind(path), space)
        if archive.kind == "folder":
            _check_folder(archive)
        else:
            _check_end(archive)
            _check_md5(path)
    return archive


def _kind(path: Path) -> Kind:
    if not path.exists():
        raise InvalidArchive(f"there is nothing at {path}. {_REMEDY}")
    if path.is_dir():
        return "folder"
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(b"BZh"):
        return "bz2"
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(_LEGACY_HEAD):
        return "legacy"
    raise InvalidArchive(f"{path} is no official file: it starts with {head[:8]!r}. {_REMEDY}")


def _check_folder(archive: Archive) -> None:
    files = archive.files()
    if not files:
        raise InvalidArchive(
            f"{archive.path} is no official folder: no file in it is called 000000.pickle.pbz2. {_REMEDY}"
        )
    meta = archive.path / "meta.pickle.pbz2"
    if meta.is_file():
        with bz2.open(meta) as stream:
            head = PickleMachine(stream.read1, str(meta)).load()
        archive._check_head(head)


def _check_end(archive: Archive) -> None:
    """Raise `InvalidArchive` for a file that is cut off: its end is not that of its kind."""
    with archive.path.open("rb") as file:
        size = file.seek(0, 2)
        file.seek(max(size - 11, 0))
        tail = file.read()
    if archive.kind == "bz2":
        bits = int.from_bytes(tail, "big")
        whole = any((bits >> shift) & ((1 << 48) - 1) == _BZ2_END for shift in range(32, 40))
    elif archive.kind == "legacy":
        whole = tail.endswith(b".")  # the list of tensors, of which there are none
    else:
        whole = zipfile.is_zipfile(archive.path)
    if not whole:
        raise _fault(archive.path, f"its {size:,} bytes do not end as they should: it is cut off")


def _check_md5(path: Path) -> None:
    named = _NAMED_AFTER_MD5.fullmatch(path.name)
    if named is None:
        return
    md5 = hashlib.md5(usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(_HASHED_AT_ONCE):
            md5.update(chunk)
    digest = md5.hexdigest()
    if not digest.endswith(named[2]) and not digest.startswith(named[2]):
        raise _fault(path, f"its md5 is {digest}, and its name says that it ends in {named[2]}")


def _after_heads(file: IO[bytes], path: Path) -> Callable[[int], bytes]:
    """Skip the three pickles before the object in a legacy file, and return how to read on."""
    rest = b""
    for what in ("magic number", "protocol", "description of the machine"):
        begun = BytesIO(rest)
        machine = PickleMachine(lambda n, begun=begun: begun.read(n) or file.read(4096), f"{path} ({what})")  # type: ignore[misc]
        machine.load()
        rest = machine.rest + begun.read()
    ahead = BytesIO(rest)
    return lambda count: ahead.read(count) or file.read(count)


def _name_in_zip(packed: zipfile.ZipFile, path: Path) -> str:
    names = [name for name in packed.namelist() if name.endswith("/data.pkl") or name == "data.pkl"]
    if len(names) != 1:
        raise _fault(path, "it is a zip without data.pkl")
    return names[0]


def _by_recipe(value: object, where: str) -> Mapping[str, Any]:
    """Return the results of an architecture by recipe; raises `InvalidArchive`."""
    if not isinstance(value, dict) or not value or any(type(hp) is not str for hp in value):
        raise InvalidArchive(f"{where}: no results by recipe, but a {type(value).__name__}. {_REMEDY}")
    return {_OLD_RECIPES.get(str(hp), str(hp)): results for hp, results in value.items()}


def _published_strings(space: str) -> list[str]:
    found = get_space(space)
    return found.to_str(found.from_index(range(found.size)))


def _fault(path: Path, what: str) -> InvalidArchive:
    return InvalidArchive(f"{path} is no official file as published: {what}. {_REMEDY}")


@contextmanager
def _named_errors(path: Path) -> Iterator[None]:
    """Turn what bz2, zip and the system say of a bad file into `InvalidArchive`."""
    try:
        yield
    # zipfile says NotImplementedError of a compression that it does not know, RuntimeError of an encrypted member
    except (EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise _fault(path, f"it is cut off or damaged ({error})") from error
    except OSError as error:
        raise InvalidArchive(f"{path} cannot be read ({error}): is it whole? {_REMEDY}") from error
