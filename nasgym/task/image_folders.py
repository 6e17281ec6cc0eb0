"""Whether a folder still holds the images that a table was made with."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from nasgym.errors import TableMismatch
from nasgym.recipes import IMAGE_FOLDER, get_recipe, is_image_folder
from nasgym.store import Store, TableKey

__all__ = ["check_images"]


def check_images(store: Store, key: TableKey) -> None:
    """Raise `TableMismatch` where the images of a table's folder are not those that it was made with.

    The images are read only when a name, a size or a time of change in the folder is not as it was at the last check;
    an empty file in ``image-folders/`` of the store remembers that. Results of a folder that is gone stay readable.

    Raises:
        TableMismatch: The images are others.
        DatasetUnavailable, BrokenImage: The changed folder can no longer be read as images.
    """
    folder = Path(key.dataset.removeprefix(IMAGE_FOLDER))
    if not is_image_folder(key.dataset) or key not in store or not folder.is_dir():
        return
    made_with = store.meta(key).fingerprint
    side = get_recipe(key.recipe).image_size
    if made_with is None:
        return
    checked = store.path / "image-folders" / _stamp(folder, f"{key.dataset} {side} {made_with}")
    if checked.exists():
        return
    from nasgym.training import fingerprint  # torch: only where images have to be read

    if (found := fingerprint(key.dataset, side)) != made_with:
        raise TableMismatch(
            f"the images in {folder} are not those that the table {key} was made with (their sha256 is {found}, of "
            f"the table {made_with}): restore them, or give the other images a folder of their own."
        )
    with suppress(OSError):  # of a store that cannot be written the images are read each time
        checked.parent.mkdir(exist_ok=True)
        checked.touch()


def _stamp(folder: Path, what: str) -> str:
    digest = hashlib.sha256(what.encode(errors="surrogateescape"))
    for line in sorted(_listing(folder)):
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()


def _listing(folder: Path) -> Iterator[str]:
    for place, _, files in os.walk(folder, followlinks=True):
        for name in files:
            with suppress(FileNotFoundError):
                state = os.stat(os.path.join(place, name))
                yield f"{os.path.relpath(place, folder)}/{name}\0{state.st_size}\0{state.st_mtime_ns}\0"
