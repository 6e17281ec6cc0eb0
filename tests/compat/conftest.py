"""Files in the published forms, written and imported once for all tests of this folder."""

import pytest

from nasgym.compat.nasbench import api
from nasgym.store import Store
from tests.compat import archives
from tests.importers import nb101_records as records


@pytest.fixture(scope="session")
def archive(tmp_path_factory):
    """Return a function: space and kind (``made-up`` or ``real``) -> folder, its contents, a path for its store."""
    made = {}

    def get(space, kind):
        if (space, kind) not in made:
            infos = archives.made_up(space) if kind == "made-up" else archives.real(space)
            if infos is None:
                pytest.skip("the real records are not here")
            home = tmp_path_factory.mktemp(f"{space}-{kind}")
            folder = archives.write_folder(home / archives.FOLDERS[space], infos, space)
            made[space, kind] = folder, infos, home / "store"
        return made[space, kind]

    return get


@pytest.fixture(scope="session", params=["made-up", "real"])
def tss(request, archive):
    """A folder of the topology space, its contents, and a path for its store."""
    return archive("nb201", request.param)


@pytest.fixture(scope="session")
def official(tmp_path_factory):
    """A file with the golden cells and some others, the first record the published one; and a store that has it."""
    from tests.compat.nasbench_modules import INDICES  # enumerates the space

    home = tmp_path_factory.mktemp("nasbench")
    path = records.write(home / "nasbench_full.tfrecord", INDICES, change=lambda rows: [records.REAL, *rows[1:]])
    store = Store(home / "store")
    api.NASBench(path, store=store)
    return path, store


@pytest.fixture
def nasbench(official):
    return api.NASBench(official[0], 1, store=official[1])
