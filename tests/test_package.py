"""The package as users get it: what importing costs, what is installed, and where it is found."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import nasgym

ROOT = Path(__file__).resolve().parent.parent
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
ROOMS = {"nasgym": ROOT / "nasgym", "nasgym.envs": ROOT / "envs", "nasgym.agents": ROOT / "agents"}
HEAVY = ("torch", "torchvision", "stable_baselines3", "sb3_contrib", "sklearn", "matplotlib", "typer", "rich")
NEEDS_TORCH = ("nasgym.networks", "nasgym.training", "nasgym.envs.sb3", "nasgym.agents._sb3")  # imported when used


def modules() -> dict[str, Path]:
    """Return module name -> file of everything in the tree."""
    found = {}
    for name, folder in ROOMS.items():
        for file in folder.rglob("*.py"):
            parts = (name, *file.relative_to(folder).with_suffix("").parts)
            found[".".join(parts).removesuffix(".__init__")] = file
    return found


def run_python(code: str, cwd: Path = ROOT, **environment: str) -> str:
    """Run code in a fresh interpreter, warnings from nasgym's own import as errors; return what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=cwd,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_every_package_of_the_tree_is_installed() -> None:
    in_tree = {name for name, file in modules().items() if file.name == "__init__.py"}
    listed = set(PYPROJECT["tool"]["setuptools"]["packages"])
    assert listed == in_tree, "packages in pyproject.toml, [tool.setuptools], differ from the folders"


def test_every_folder_with_modules_is_a_package() -> None:
    folders = {file.parent for file in modules().values()}
    assert not [folder for folder in folders if not (folder / "__init__.py").is_file()]


def test_one_version_everywhere() -> None:
    assert f"version: {nasgym.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {nasgym.__version__}" in (ROOT / "CHANGELOG.md").read_text()


def test_importing_is_light() -> None:
    code = f"import sys, nasgym; print([m for m in {(*HEAVY, 'lmdb')!r} if m in sys.modules])"
    assert run_python(code).strip() == "[]"


def test_importing_costs_at_most_a_tenth_of_a_second_above_gymnasium() -> None:
    code = "import gymnasium, time\nstart = time.perf_counter()\nimport nasgym\nprint(time.perf_counter() - start)"
    assert min(float(run_python(code)) for _ in range(5)) <= 0.1


def test_only_rooms_that_train_import_torch() -> None:
    light = sorted(m for m in modules() if not m.startswith(NEEDS_TORCH) and not m.endswith("__main__"))
    code = f"""
import importlib, sys
heavy = ("torch", "torchvision", "stable_baselines3", "sb3_contrib")
for name in {light!r}:
    importlib.import_module(name)
    loaded = [m for m in heavy if m in sys.modules]
    assert not loaded, f"{{name}} imports {{loaded}}"
"""
    run_python(code)


def test_registration_happens_once_and_without_a_warning() -> None:
    code = """
import warnings
warnings.simplefilter("error")
import gymnasium, importlib, nasgym
from nasgym.envs.registration import register_envs
ids = sorted(i for i in gymnasium.registry if i.startswith("nasgym/"))
register_envs()
importlib.reload(nasgym)
assert sorted(i for i in gymnasium.registry if i.startswith("nasgym/")) == ids
"""
    run_python(code)


def test_spaces_networks_and_training_need_neither_gymnasium_nor_lmdb() -> None:
    code = """
import sys
for absent in ("gymnasium", "lmdb", "stable_baselines3", "sb3_contrib"):
    sys.modules[absent] = None
import nasgym, nasgym.spaces, nasgym.results, nasgym.recipes, nasgym.networks, nasgym.training
print(len(nasgym.spaces.get_space("nb201").to_str(nasgym.spaces.get_space("nb201").from_index([0]))))
"""
    assert run_python(code).strip() == "1"


def test_the_front_door_offers_what_it_lists() -> None:
    for name in nasgym.__all__:
        assert getattr(nasgym, name) is not None
    assert set(nasgym.__all__) <= set(dir(nasgym))
    with pytest.raises(AttributeError, match="no attribute 'nothing_of_the_kind'"):
        nasgym.nothing_of_the_kind  # noqa: B018


def test_constraints_are_plain_pins_of_every_requirement() -> None:
    pins = {}
    for line in (ROOT / "constraints.txt").read_text().splitlines():
        if line and not line.startswith("#"):
            assert re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+]+", line), f"{line!r} is not name==version"
            name, version = line.split("==")
            pins[_normal(name)] = version
    project = PYPROJECT["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    missing = [w for w in wanted if _normal(re.split(r"[<>=!~ ]", w)[0]) not in pins]
    assert not missing
    assert not [p for p, v in pins.items() if "+" in v], "a local version cannot be installed elsewhere"


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A wheel built from a copy of the tree, so that nothing of an earlier build gets in."""
    source, out = tmp_path_factory.mktemp("source") / "tree", tmp_path_factory.mktemp("wheel")
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for folder in ("nasgym", "envs", "agents"):
        shutil.copytree(ROOT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", out, source]
    subprocess.run(command, check=True, timeout=300)
    return next(out.glob("*.whl"))


def test_the_wheel_holds_every_module_its_data_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        scripts = archive.read(next(n for n in names if n.endswith("entry_points.txt"))).decode()
    built = {n.removesuffix(".py").replace("/", ".").removesuffix(".__init__") for n in names if n.endswith(".py")}
    assert built == set(modules())
    assert "nasgym/py.typed" in names
    tables = ROOT / "nasgym" / "tables"
    data = {str(f.relative_to(ROOT)) for f in tables.rglob("*") if f.suffix in (".mdb", ".json")}
    assert data <= set(names)
    assert {name.split("/")[0].split("-")[0] for name in names} == {"nasgym"}, "nothing beside nasgym in site-packages"
    assert "nasgym = nasgym.cli:main" in scripts


@pytest.mark.parametrize("where", ["repository", "elsewhere"])
def test_an_installed_copy_is_found(wheel: Path, where: str, tmp_path: Path) -> None:
    site = tmp_path / "site"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    code = "import nasgym, nasgym.envs.registration, nasgym.agents as a; print(nasgym.__file__); print(a.__file__)"
    cwd = ROOT if where == "repository" else tmp_path
    files = [Path(line).resolve() for line in run_python(code, cwd=cwd, PYTHONPATH=str(site)).split()]
    home = (ROOT, ROOT) if where == "repository" else (site.resolve(), site.resolve() / "nasgym")
    assert files == [home[0] / "nasgym" / "__init__.py", home[1] / "agents" / "__init__.py"]
