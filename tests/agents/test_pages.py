"""The example is the documentation's and keeps the rules; the documentation's tables are those of the code."""

import importlib.util
from pathlib import Path

from nasgym.testing import check_agent

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_example_keeps_the_rules():
    check_agent(f"{ROOT / 'examples' / 'my_agent.py'}:Annealing")


def test_the_page_shows_the_example():
    assert (ROOT / "examples" / "my_agent.py").read_text() in (ROOT / "docs" / "writing-an-agent.md").read_text()


def script_at(path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def test_the_table_of_agents_is_fresh():
    page = (ROOT / "docs" / "agents.md").read_text()
    assert script_at(ROOT / "docs" / "agents_table.py").refreshed(page) == page, "run: python docs/agents_table.py"


def test_the_tables_of_tuning_are_those_that_the_script_makes():
    script = script_at(ROOT / "benchmarks" / "tune_rl.py")
    page = (ROOT / "docs" / "agents.md").read_text()
    assert f"over {script.RUNS} runs with the seeds 0 to {script.RUNS - 1}" in page
    for agent, changes in script.CHANGES.items():
        table = page.split(f"$ python benchmarks/tune_rl.py {agent} --store STORE\n")[1].split("```console")[0]
        shown = [line.split("|")[1].replace("(adopted)", "").strip() for line in table.splitlines() if "±" in line]
        settings = ["`" + ", ".join(f"{k}={v}" for k, v in changed.items()) + "`" for changed in changes]
        assert shown == ["the library's defaults"] * (agent == "ppo") + ["nothing", *settings]
