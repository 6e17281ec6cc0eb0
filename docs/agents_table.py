"""Write the tables of agents into docs/agents.md, from what the agents say about themselves.

python docs/agents_table.py
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nasgym.agents import Description, agent_class, agent_names, describe

BEGIN, END = "<!-- agents: written by docs/agents_table.py -->\n", "<!-- end of agents -->\n"


def refreshed(page: str) -> str:
    """Return the page with its tables written anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return before + BEGIN + "\n".join(["", *lines(), "", END]) + after


def lines() -> Iterator[str]:
    """Yield the lines of the overview, then of one section per agent."""
    agents = [describe(agent_class(name)) for name in agent_names()]
    yield "| agent | family | what it does | source |"
    yield "|---|---|---|---|"
    for agent in agents:
        yield f"| [`{agent.name}`](#{agent.name}) | {agent.family} | {agent.summary} | {agent.source} |"
    for agent in agents:
        yield from section(agent)


def section(agent: Description) -> Iterator[str]:
    """Yield an agent's hyper-parameters and presets."""
    yield from ("", f"### {agent.name}", "", "| hyper-parameter | default | what it is |", "|---|---|---|")
    for item in agent.settings:
        yield f"| `{item.name}` | `{item.default!r}` | {item.doc} |"
    if agent.presets:
        yield ""
        presets = (f"`{agent.name}:{name}` = {written(values)}" for name, values in agent.presets.items())
        yield f"Presets: {'; '.join(presets)}."


def written(settings: Mapping[str, Any]) -> str:
    """Return ``a=1, b=2``."""
    return ", ".join(f"`{name}={value!r}`" for name, value in settings.items())


def main() -> None:
    """Rewrite the page."""
    path = Path(__file__).parent / "agents.md"
    path.write_text(refreshed(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
