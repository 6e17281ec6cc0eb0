"""Archives in both forms, written and imported once for all tests of this folder."""

import pytest

from tests.compat import archives


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
