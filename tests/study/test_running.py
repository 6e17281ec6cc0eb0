"""Running: serial and parallel agree, a killed study goes on, a failing run is loud and loses no other."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from nasgym.errors import DatasetUnavailable, InvalidSetting, InvalidTable, UnknownName
from nasgym.executors import Processes
from nasgym.store import Store
from nasgym.study import Progress, StudyDesign, StudyRuns, TaskSpec, analyse, run_study, running, write_report
from nasgym.study.chunks import Chunk, _agent
from nasgym.study.gaps import trains
from nasgym.study.records import RunSet
from tests.study.samples import TASK, runs_noted, write_agent

ROOT = Path(__file__).resolve().parent.parent.parent
FILES = ("evaluations.csv", "runs.csv", "summary.csv", "summary.md", "anytime.png")


def a_design(store: Path, *agents: str, runs: int = 60, **settings: object) -> StudyDesign:
    spec = TaskSpec(TASK, **{"budget": 300.0, "on_missing": "error", "store": str(store), **settings})  # type: ignore[arg-type]
    return StudyDesign((spec,), agents or ("random_search", "regularized_evolution"), runs)


def contents(study: StudyRuns) -> dict[str, bytes]:
    write_report(analyse(study))
    return {name: (study.folder / name).read_bytes() for name in FILES}


def as_lists(runs: RunSet) -> list[object]:
    return [runs.task, runs.agent, [(s, [c.tolist() for c in t]) for s, t in runs]]


def test_every_run_is_the_run_that_the_task_and_the_agent_give(filled: Path, tmp_path: Path) -> None:
    from nasgym.agents import get_agent

    design = a_design(filled, "regularized_evolution", runs=3)
    study = run_study(design, tmp_path / "out")
    for seed, found in study.sets[0]:
        task = design.tasks[0].make()
        task.restart(seed)
        get_agent("regularized_evolution").search(task, seed)
        for ours, theirs in zip(found, task.trajectory.arrays(), strict=True):
            np.testing.assert_array_equal(ours, theirs)


def test_parallel_equals_serial_byte_for_byte(filled: Path, tmp_path: Path) -> None:
    design = a_design(filled)
    serial = contents(run_study(design, tmp_path / "serial"))
    parallel = contents(run_study(design, tmp_path / "parallel", executor=Processes(2)))
    assert serial == parallel
    assert serial["evaluations.csv"].count(b"\n") > 2 * 60 * 10


def test_an_agent_may_have_runs_of_its_own(filled: Path, tmp_path: Path) -> None:
    whole = a_design(filled, runs=30)
    few = replace(whole, runs_of={whole.agents[1]: 2})
    assert few.total_runs == 32 and few.fingerprint != whole.fingerprint
    study = run_study(few, tmp_path / "few")
    assert [runs.seeds.tolist() for runs in study.sets] == [list(range(30)), [0, 1]]
    same = run_study(whole, tmp_path / "whole").sets[1]
    assert (
        study.sets[1].evaluations.indices.tolist() == same.evaluations.indices[: study.sets[1].lengths.sum()].tolist()
    )


def test_a_second_call_runs_nothing(filled: Path, tmp_path: Path) -> None:
    mine = write_agent(tmp_path)
    first = run_study(a_design(filled, mine, runs=30), tmp_path / "out")
    second = run_study(a_design(filled, mine, runs=30), tmp_path / "out")
    assert runs_noted(mine) == list(range(30))
    assert (first.resumed, second.resumed) == (0, 30)
    assert [as_lists(s) for s in first.sets] == [as_lists(s) for s in second.sets]


def test_a_damaged_chunk_is_run_again(filled: Path, tmp_path: Path) -> None:
    design = a_design(filled, "random_search")
    first = contents(run_study(design, tmp_path / "out"))
    chunk = sorted((tmp_path / "out" / "chunks").iterdir())[0]
    chunk.write_bytes(chunk.read_bytes()[:100])
    again = run_study(design, tmp_path / "out")
    assert again.resumed == 60 - running.CHUNK_RUNS and contents(again) == first


KILLED = """
import sys
from pathlib import Path
from nasgym.study import StudyDesign, TaskSpec, run_study
store, agent, out = sys.argv[1:]
spec = TaskSpec("nb201/cifar10", budget=300.0, on_missing="error", store=store)
run_study(StudyDesign((spec,), (agent,), 60), out)
"""


@pytest.mark.parametrize("signal", ["SIGKILL", "SIGINT"])
def test_a_killed_study_goes_on_where_it_was(filled: Path, tmp_path: Path, signal: str) -> None:
    import signal as signals

    act = 'if seed == 40 and not Path(__file__).with_suffix(".go").exists():\n            import time; time.sleep(600)'
    mine, out = write_agent(tmp_path, act), tmp_path / "out"
    design = a_design(filled, mine)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(filled), mine, str(out)],
        env=os.environ | {"PYTHONPATH": str(ROOT)}, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while 40 not in runs_noted(mine) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(getattr(signals, signal))
    process.wait(timeout=60)
    (tmp_path / "my_agent.go").touch()

    kept = running._stored(out)
    assert [len(runs) for runs in kept] == [running.CHUNK_RUNS]
    resumed = run_study(design, out)
    assert resumed.resumed == running.CHUNK_RUNS
    before, after = range(41), range(running.CHUNK_RUNS, 60)  # the chunk that was under way is done again, no other
    assert runs_noted(mine) == [*before, *after]
    assert contents(resumed) == contents(run_study(design, tmp_path / "uninterrupted"))
    assert not list(out.glob("**/*.tmp"))


def test_a_run_that_raises_loses_no_other(filled: Path, tmp_path: Path) -> None:
    mine = write_agent(tmp_path, "assert seed != 7, 'seven'")
    study = run_study(a_design(filled, "random_search", mine, runs=10), tmp_path / "out")
    assert [s.seeds.tolist() for s in study.sets] == [list(range(10)), [s for s in range(10) if s != 7]]
    (failure,) = study.failures
    assert (failure.agent, failure.seed) == (mine, 7) and "AssertionError: seven" in failure.error
    text = (tmp_path / "out" / "failures" / "0001.txt").read_text()
    assert "seed 7" in text and "my_agent.py" in text and "AssertionError: seven" in text
    files = contents(study)
    assert b"1 failed" in files["summary.md"] and b"FAILED" in files["summary.md"]
    assert b",7,failed," in files["runs.csv"]


def test_a_failed_run_is_tried_again_and_only_that_one(filled: Path, tmp_path: Path) -> None:
    mine = write_agent(tmp_path, 'assert seed != 7 or Path(__file__).with_suffix(".go").exists()')
    design = a_design(filled, mine, runs=10)
    assert len(run_study(design, tmp_path / "out").failures) == 1
    (tmp_path / "my_agent.go").touch()
    mended = run_study(design, tmp_path / "out")
    assert not mended.failures and runs_noted(mine) == [*range(10), 7]
    assert not list((tmp_path / "out" / "failures").glob("*"))
    assert contents(mended) == contents(run_study(design, tmp_path / "whole"))


def test_failures_at_both_ends_of_a_chunk_lose_no_run(filled: Path, tmp_path: Path) -> None:
    """The runs that are tried again are 0 and 4: a chunk with the ends of the one before it, and not its runs."""
    mine = write_agent(tmp_path, 'assert seed in (1, 2, 3) or Path(__file__).with_suffix(".go").exists()')
    design, out = a_design(filled, mine, runs=5), tmp_path / "out"
    assert run_study(design, out).sets[0].seeds.tolist() == [1, 2, 3]
    (tmp_path / "my_agent.go").touch()
    run_study(design, out)
    assert run_study(design, out).resumed == 5 and runs_noted(mine) == [0, 1, 2, 3, 4, 0, 4]


def test_chunks_that_look_alike_have_names_of_their_own() -> None:
    task, long = TaskSpec(TASK), "x" * 130
    agents = ("a/b.py:X", "a-b.py:X", f"a{long}", f"b{long}")
    names = {Chunk(task, agent, seeds).name for agent in agents for seeds in ((0, 1, 2), (0, 2))}
    assert len(names) == 8 and all(len(name) < 200 for name in names)


def test_a_run_that_kills_its_process_loses_no_other(filled: Path, tmp_path: Path) -> None:
    mine = write_agent(tmp_path, "if seed == 3: os.kill(os.getpid(), signal.SIGKILL)")
    study = run_study(a_design(filled, mine, runs=6), tmp_path / "out", executor=Processes(2))
    assert study.sets[0].seeds.tolist() == [0, 1, 2, 4, 5]
    (failure,) = study.failures
    assert failure.seed == 3 and "died" in failure.error


def test_a_run_does_not_see_the_runs_before_it(filled: Path, tmp_path: Path) -> None:
    mine = write_agent(tmp_path, "assert not hasattr(self, 'used'); self.used = True")
    assert not run_study(a_design(filled, mine, runs=5), tmp_path / "out").failures


def test_an_agent_that_does_nothing_has_no_score(filled: Path, tmp_path: Path) -> None:
    mine = write_agent(tmp_path, "return")
    report = analyse(run_study(a_design(filled, mine, "random_search", runs=3), tmp_path / "out"))
    write_report(report)
    assert report.tasks[0].finals[0].indices.tolist() == [-1, -1, -1]
    assert "| — |" in (tmp_path / "out" / "summary.md").read_text()


def test_progress_is_told(filled: Path, tmp_path: Path) -> None:
    told: list[Progress] = []
    study = run_study(a_design(filled, "random_search"), tmp_path / "out", on_progress=told.append)
    last = told[-1]
    assert (last.done, last.total, last.failed, last.share) == (60, 60, 0, 1.0)
    assert last.evaluations == study.sets[0].lengths.sum()
    assert [p.share for p in told] == sorted(p.share for p in told)
    assert not (tmp_path / "out" / "progress").exists()


def test_progress_within_a_run_where_networks_are_trained(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nasgym.study.chunks._WATCH_SECONDS", 0.01)
    monkeypatch.setattr("nasgym.study.running._REPORT_SECONDS", 0.01)
    monkeypatch.setattr("nasgym.study.running.trains", lambda spec: True)
    mine = write_agent(
        tmp_path, "import time; task.evaluate(task.space.sample(np.random.default_rng(0), 2)); time.sleep(1)"
    )
    told: list[Progress] = []
    run_study(a_design(filled, mine, runs=1, max_evaluations=8), tmp_path / "out", on_progress=told.append)
    assert any((p.done, p.evaluations, p.share) == (0, 2, 0.25) for p in told)


def test_a_gap_in_a_table_that_may_be_trained_makes_small_chunks(filled: Path, tmp_path: Path) -> None:
    full = a_design(filled, on_missing="train").tasks[0]
    assert not trains(full) and trains(replace(full, store=str(tmp_path / "empty")))
    assert not trains(replace(full, on_missing="error", store=str(tmp_path / "empty")))


def test_a_data_set_that_is_not_there_stops_a_study_before_its_first_run(
    filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NASGYM_DATA", str(tmp_path / "no-data"))
    mine, store = write_agent(tmp_path), tmp_path / "store"
    with pytest.raises(DatasetUnavailable, match=r"cifar10.*nasgym import csv"):
        run_study(a_design(store, mine, runs=3, on_missing="train"), tmp_path / "out")
    assert not runs_noted(mine) and not (tmp_path / "out").exists() and not Store(store).tables()
    run_study(a_design(filled, mine, runs=3, on_missing="train"), tmp_path / "out")  # a whole table needs no data


def test_only_what_is_left_is_prepared(filled: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    prepared: list[str] = []
    monkeypatch.setattr("nasgym.study.running.prepare_training", lambda spec: prepared.append(spec.label))
    for _ in range(2):
        run_study(a_design(filled, runs=3), tmp_path / "out")
    assert prepared == [TASK]  # once for all agents, and not where every run was done before


def test_a_changed_design_is_refused(filled: Path, tmp_path: Path) -> None:
    design = a_design(filled, "random_search", runs=2)
    before = contents(run_study(design, tmp_path / "out"))
    with pytest.raises(InvalidSetting, match=r"another design \(runs: 2, now 3\).*Choose another folder"):
        run_study(replace(design, runs=3), tmp_path / "out")
    assert {name: (tmp_path / "out" / name).read_bytes() for name in FILES} == before


def test_folders_of_others_are_left_alone(filled: Path, tmp_path: Path) -> None:
    design = a_design(filled, "random_search", runs=2)
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "thesis.tex").write_text("precious")
    (tmp_path / "file").write_text("precious")
    for name in ("taken", "file"):
        with pytest.raises(InvalidSetting, match="not the folder of a study"):
            run_study(design, tmp_path / name)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "study.json").write_text("{")
    with pytest.raises(InvalidTable, match="not the description of a study"):
        run_study(design, tmp_path / "broken")
    assert (tmp_path / "taken" / "thesis.tex").read_text() == "precious"


def test_nothing_is_made_for_a_wrong_name(filled: Path, tmp_path: Path) -> None:
    with pytest.raises(UnknownName):
        run_study(a_design(filled, "random_serch"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_description_holds_design_and_versions(filled: Path, tmp_path: Path) -> None:
    design = a_design(filled, "random_search", runs=1)
    run_study(design, tmp_path / "out")
    about = json.loads((tmp_path / "out" / "study.json").read_text())
    assert about["design"] == json.loads(json.dumps(design.to_json()))
    assert {"nasgym", "numpy", "python"} <= set(about["versions"]) and about["created"]


def test_agents_that_train_for_minutes_get_chunks_of_one_run_and_tell_how_far_they_are(filled: Path, tmp_path: Path):
    design = a_design(filled, "random_search", "gdas", runs=3)
    chunks = list(running._pending(design, [], tmp_path))
    assert [(chunk.agent, chunk.seeds, chunk.progress is None) for chunk in chunks] == [
        ("random_search", (0, 1, 2), True), ("gdas", (0,), False), ("gdas", (1,), False), ("gdas", (2,), False)
    ]  # fmt: skip


def test_agents_have_the_settings_of_the_study(filled: Path, tmp_path: Path) -> None:
    agent = "regularized_evolution"
    by_preset = run_study(a_design(filled, f"{agent}:small", runs=2), tmp_path / "preset")
    design = replace(a_design(filled, agent, runs=2), settings={agent: {"population": 4, "sample": 2}})
    by_settings = run_study(design, tmp_path / "settings", executor=Processes(2))
    assert as_lists(by_settings.sets[0])[2] == as_lists(by_preset.sets[0])[2]
    with pytest.raises(InvalidSetting, match=r"settings.population: 4, now 10"):
        run_study(replace(design, settings={}), tmp_path / "settings")


KEEPER = """
from dataclasses import dataclass
from pathlib import Path

@dataclass(frozen=True)
class Keeper:
    settles = True
    checkpoints: str = ""
    def search(self, task, seed):
        half = Path(self.checkpoints) / f"{seed}.half"
        if not half.exists():
            half.parent.mkdir(parents=True, exist_ok=True)
            half.touch()
            raise KeyboardInterrupt
        half.unlink()
        task.evaluate(task.space.from_index([seed]))
"""


def test_a_search_that_keeps_checkpoints_goes_on_from_the_folder_of_its_study(filled: Path, tmp_path: Path) -> None:
    (tmp_path / "keeper.py").write_text(KEEPER)
    design, out = a_design(filled, f"{tmp_path / 'keeper.py'}:Keeper", runs=1), tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run_study(design, out)
    assert (out / "checkpoints" / "0.half").is_file()
    assert len(run_study(design, out).sets[0]) == 1
    assert not (out / "checkpoints").exists()  # nothing is left in it
    elsewhere = replace(design, settings={design.agents[0]: {"checkpoints": str(tmp_path / "mine")}})
    with pytest.raises(KeyboardInterrupt):
        run_study(elsewhere, tmp_path / "other")
    assert (tmp_path / "mine" / "0.half").is_file() and not (tmp_path / "other" / "checkpoints").exists()


def test_weight_sharing_agents_take_the_folder_of_the_study(filled: Path, tmp_path: Path) -> None:
    design = replace(a_design(filled, "gdas", runs=1), settings={"gdas": {"epochs": 3}})
    (chunk,) = running._pending(design, [], tmp_path / "out")
    agent = _agent(chunk)
    assert (agent.epochs, agent.checkpoints) == (3, str(tmp_path / "out" / "checkpoints"))
