"""`nasgym compare`: what it writes and prints, what it refuses, and how it goes on."""

from __future__ import annotations

import csv
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from nasgym.results import Evaluation, Series
from nasgym.spaces import get_space
from nasgym.store import Store
from tests.cli.conftest import Run, Spawn
from tests.study.samples import KEY, TASK, runs_noted, write_agent

FILES = ("evaluations.csv", "runs.csv", "summary.csv", "summary.md", "anytime.png")
PLAIN = ("--task", TASK, "--budget", "200", "--on-missing", "error", "--jobs", "1")


def test_a_study_is_printed_and_written(run: Run, filled: Path, tmp_path: Path) -> None:
    result = run(
        "compare", *PLAIN, "--store", filled, "--agents", "random_search,local_search",
        "--agent", "regularized_evolution:small", "--runs", 4, "--out", "out",
    )  # fmt: skip
    lines = result.stdout.splitlines()
    assert [line.split()[0] for line in lines if " ± " in line] == [
        "random_search",
        "local_search",
        "regularized_evolution:small",
    ]
    assert "best known: valid " in result.stdout and f"plot: {Path('out') / 'anytime.png'}" in result.stdout
    assert all((tmp_path / "out" / name).is_file() for name in FILES)
    with (tmp_path / "out" / "runs.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 12
    assert "\x1b" not in result.stdout + result.stderr


def test_published_figures_are_printed_beside(run: Run, filled: Path) -> None:
    words = ("compare", "--task", TASK, "--protocol", "nasbench201-2020", "--store", filled, "--jobs", 1, "--runs", 2)
    said = run(*words, "--agents", "random_search").stdout
    assert "90.93 ± 0.36" in said and "Dong and Yang, ICLR 2020" in said and "not shown" not in said
    assert "not in the store: cifar100 valid —" in said
    other = run(*words, "--agents", "random_search", "--budget", 150).stdout
    assert "90.93 ± 0.36" not in other and "departs from the protocol: budget 150.0, not 12000.0\n" in other


def test_the_default_folder_is_that_of_the_same_words(run: Run, filled: Path, tmp_path: Path) -> None:
    words = ("compare", *PLAIN, "--store", filled, "--agents", "random_search", "--runs")
    assert "had been done" not in run(*words, 2).stderr
    assert "2 of 2 runs had been done before" in run(*words, 2).stderr
    assert "had been done" not in run(*words, 3).stderr  # another study, another folder
    assert len(list((tmp_path / "nasgym-studies").iterdir())) == 2


def test_two_processes_give_what_one_gives(run: Run, filled: Path, tmp_path: Path) -> None:
    words = ("compare", *PLAIN, "--store", filled, "--agents", "random_search", "--runs", 30, "--seeds", "mean")
    run(*words, "--out", "one")
    run(*words, "--jobs", 2, "--out", "two")  # the later word wins
    for name in FILES:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes(), name


def test_simulated_workers_finish_more_in_the_same_time(run: Run, filled: Path, tmp_path: Path) -> None:
    words = ("compare", *PLAIN, "--store", filled, "--agents", "random_search", "--runs", 3)
    run(*words, "--out", "one")
    run(*words, "--workers", 4, "--out", "four")

    def evaluations(name: str) -> int:
        return len((tmp_path / name / "evaluations.csv").read_text().splitlines())

    assert evaluations("four") > 2.5 * evaluations("one")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--agents", "random_serch"), "unknown agent 'random_serch'. Did you mean 'random_search'"),
        (("--agents", "reinforce:natts"), "Did you mean 'nats'"),
        (("--agent", "nowhere.py:Mine"), "no file nowhere.py"),
        ((), "name at least one agent"),
        (("--agents", "random_search", "--task", "nb201/cifar11"), "Did you mean 'cifar10' or 'cifar100'"),
        (("--agents", "random_search", "--task", "nb301/cifar10"), "Did you mean 'nb201'"),
        (("--agents", "random_search", "--protocol", "nats"), "Did you mean 'nats-tss'"),
        (("--agents", "random_search", "--recipe", "nb201-13"), "Did you mean 'nb201-12'"),
        (("--agents", "random_search", "--seeds", "some"), "got 'some'"),
        (("--agents", "random_search", "--budget", "0"), "above 0"),
        (("--agents", "random_search", "--budget", "-5"), "got -5"),
        (("--agents", "random_search", "--runs", "0"), "1 run or more"),
        (("--agents", "random_search", "--runs-of", "random_search"), "such as random_search=3; got 'random_search'"),
        (("--agents", "random_search", "--runs-of", "asha=3"), "unknown agent of this study 'asha'"),
        (("--agents", "random_search", "--set", "block=3"), "such as gdas.epochs=10; got 'block=3'"),
        (("--agents", "random_search", "--set", "random_serch.block=3"), "Did you mean 'random_search'"),
        (("--agents", "random_search", "--set", "random_search.blok=3"), "Did you mean 'block'"),
        (("--agents", "random_search", "--set", "random_search.block=x"), "of type int; got 'x'"),
        (("--agents", "random_search", "--workers", "0"), "workers"),
        (("--agents", "random_search", "--jobs", "0"), "workers must be at least 1"),
        (("--agents", "random_search", "--on-missing", "guess"), "'guess'"),
        (("--agents", "random_search", "--max-evaluations", "0"), "limit of evaluations"),
        (("--agents", "random_search,random_search"), "named twice"),
    ],
)
def test_a_wrong_word_is_one_line(run: Run, filled: Path, tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    given = {"--task": TASK, "--budget": "100", "--on-missing": "error", "--jobs": "1", "--store": str(filled)}
    given |= dict(zip(words[::2], words[1::2], strict=True))
    result = run("compare", *[w for pair in given.items() for w in pair], code=1)
    (line,) = result.stderr.splitlines()
    assert line.startswith("error: ") and said in line
    assert result.stdout == "" and not list(tmp_path.glob("nasgym-studies/*"))


@pytest.mark.parametrize("words", [("--runs", "many"), ("--budget",), ("--bugdet", "5")])
def test_words_that_are_no_options_are_usage_errors(run: Run, words: tuple[str, ...]) -> None:
    result = run("compare", "--agents", "random_search", *words, code=2)
    assert "Error: " in result.stderr and "Traceback" not in result.stderr


def test_a_table_that_is_not_there(run: Run, tmp_path: Path) -> None:
    result = run("compare", *PLAIN, "--store", tmp_path / "none", "--agents", "random_search", code=1)
    assert "no table nb201/cifar10/nb201-12" in result.stderr and "nasgym import csv" in result.stderr


def test_another_design_in_the_folder(run: Run, filled: Path) -> None:
    words = ("compare", *PLAIN, "--store", filled, "--agents", "random_search", "--out", "out")
    run(*words, "--runs", 1)
    assert "another design (runs: 1, now 2)" in run(*words, "--runs", 2, code=1).stderr


def test_a_crashing_agent_is_loud_and_the_others_are_kept(run: Run, filled: Path, tmp_path: Path) -> None:
    mine = write_agent(tmp_path, "assert seed % 2, 'even seeds hurt'")
    result = run(
        "compare", *PLAIN, "--store", filled, "--agents", "random_search", "--agent", mine, "--runs", 4, "--out", "o",
        code=1,
    )  # fmt: skip
    assert "error: 2 of 8 runs failed" in result.stderr
    assert "2 times: AssertionError: even seeds hurt" in result.stderr and "The same command" in result.stderr
    assert "2 (2 failed)" in result.stdout and "random_search" in result.stdout
    assert len(list((tmp_path / "o" / "failures").iterdir())) == 2


def test_failures_of_one_kind_are_one_line_with_an_example(run: Run, filled: Path, tmp_path: Path) -> None:
    mine = write_agent(tmp_path, "raise (OSError if seed == 1 else KeyError)(f'cell {seed}')")
    said = run("compare", *PLAIN, "--store", filled, "--agent", mine, "--runs", 4, code=1).stderr.splitlines()
    assert [line.rpartition(f"on {TASK}, ")[2] for line in said if " times" in line] == [
        "3 times, such as: KeyError: 'cell 0'", "1 times: OSError: cell 1"
    ]  # fmt: skip


def test_settings_are_printed_and_make_another_study(run: Run, filled: Path) -> None:
    words = ("compare", *PLAIN, "--store", filled, "--agents", "regularized_evolution", "--runs", 1, "--out", "out")
    said = run(*words, "--set", "regularized_evolution.sample=2", "--set", "regularized_evolution.population=4").stdout
    assert "settings: regularized_evolution.sample=2, regularized_evolution.population=4" in said
    assert "settings.population: 4, now 10" in run(*words, code=1).stderr


def test_agents_that_cannot_search_are_named_in_one_line_before_anything_runs(
    run: Run, filled: Path, tmp_path: Path
) -> None:
    result = run("compare", *PLAIN, "--store", filled, "--agents", "random_search,hyperband,asha", code=1)
    line = result.stderr.splitlines()[-1]
    assert line.startswith("error: hyperband cannot search nb201/cifar10: the table") and "asha cannot search" in line
    assert result.stdout == "" and not list(tmp_path.glob("nasgym-studies/*"))


def test_bohb_and_hyperband_search_the_joined_tables_by_one_command(run: Run, filled: Path) -> None:
    words = ("compare", "--task", TASK, "--protocol", "nasbench201-2020-lengths", "--store", filled, "--jobs", 1)
    said = run(*words, "--agents", "bohb,hyperband", "--runs", 2, "--on-missing", "error", "--budget", 300).stdout
    assert "searched nb201/cifar10/nb201-200" in said and said.count(" ± ") >= 4


def test_a_data_set_that_is_not_there_is_one_line(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NASGYM_HOME", str(tmp_path / "home"))
    result = run("compare", "--task", TASK, "--protocol", "nasbench201-2020", "--agents", "random_search", code=1)
    assert result.stderr.splitlines()[-1].startswith("error: ") and "nasgym import csv" in result.stderr
    assert "cifar" in result.stderr and result.stdout == "" and "It is empty" in run("info").stdout
    assert not list(tmp_path.glob("nasgym-studies/*"))


def test_equal_networks_answer_for_each_other(run: Run, tmp_path: Path) -> None:
    """Half of the cells have results: those that stand for all of their class."""
    space, store = get_space("nb201"), Store(tmp_path / "store")
    classes = sorted(set(space.canonical(space.from_index(np.arange(space.size))).tolist()))
    store.ensure_table(KEY, space.size)
    series = {"valid_accuracy": Series.of(0.5, 12, "fraction"), "train_seconds": Series.of(9.0, 12, "seconds")}
    store.put(KEY, [Evaluation(index, 0, 12, series) for index in classes])
    store.close()
    words = ("compare", *PLAIN, "--store", tmp_path / "store", "--agents", "random_search", "--runs", 2)
    assert "is not in the table" in run(*words, code=1).stderr
    run(*words, "--share-equal")


def test_a_killed_comparison_goes_on(run: Run, spawn: Spawn, filled: Path, tmp_path: Path) -> None:
    act = 'if seed == 30 and not Path(__file__).with_suffix(".go").exists():\n            import time; time.sleep(600)'
    mine = write_agent(tmp_path, act)
    words = ("compare", *PLAIN, "--store", filled, "--agent", mine, "--runs", "40")
    process = spawn(*words, "--out", "out")
    deadline = time.monotonic() + 120
    while 30 not in runs_noted(mine) and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=240)
    assert process.returncode == 130 and "Traceback" not in said
    assert "finished runs are kept. Go on with: nasgym compare" in said
    (tmp_path / "my_agent.go").touch()
    assert "25 of 40 runs had been done before" in run(*words, "--out", "out").stderr
    assert runs_noted(mine) == [*range(31), *range(25, 40)]
    run(*words, "--out", "uninterrupted")
    for name in FILES:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "uninterrupted" / name).read_bytes(), name


def test_debug_shows_the_traceback(spawn: Spawn) -> None:
    process = spawn("--debug", "compare", "--agents", "nobody")
    _, said = process.communicate(timeout=240)
    assert process.returncode == 1 and "Traceback" in said and "UnknownName" in said


def test_an_output_folder_that_cannot_be_made(run: Run, filled: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run("compare", *PLAIN, "--store", filled, "--agents", "random_search", "--out", "file/out", code=1)
    assert result.stderr.splitlines()[-1].startswith("error: ") and "file" in result.stderr
