"""The example is the documentation's and keeps the rules; the documentation's tables are those of the code."""

import importlib.util
from pathlib import Path

from nasgym.testing import check_agent

ROOT = Path(__file__).resolve().parent.parent.parent


def test_the_example_keeps_the_rules():
    check_agent(f"{ROOT / 'examples' / 'my_agent.py'}:Annealing")


def test_the_page_shows_the_example():
    assert (ROOT / "examples" / "my_agent.py").read_text() in (ROOT / "docs" / "writing-an-agent.md").read_text()


def test_the_table_of_agents_is_fresh():
    spec = importlib.util.spec_from_file_location("agents_table", ROOT / "docs" / "agents_table.py")
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    page = (ROOT / "docs" / "agents.md").read_text()
    assert script.refreshed(page) == page, "run: python docs/agents_table.py"
