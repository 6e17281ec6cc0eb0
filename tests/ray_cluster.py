"""A Ray cluster of two machines of one core each; the machines are processes here."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

_MEMORY = 100 << 20  # bytes of the store of objects, about the least that Ray takes
_SLOW_START = {"agent_register_timeout_ms": 120_000}  # on a busy machine its helpers take longer than it waits for them
_QUICK_DEATH = {"health_check_period_ms": 1000, "health_check_failure_threshold": 10}  # a dead machine is soon noticed
_TRIES = 3


@contextmanager
def two_machines(**environment: str) -> Iterator[Any]:
    """Yield the cluster; the test is skipped where ray is not installed.

    Args:
        environment: What the machines have in their environment.
    """
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"RAY_USAGE_STATS_ENABLED": "0", **environment}.items():
            patch.setenv(name, value)
        cluster = _started()
    try:
        yield cluster
    finally:
        cluster.shutdown()


def _started() -> Any:
    from ray.cluster_utils import Cluster

    terms = {"num_cpus": 1, "object_store_memory": _MEMORY}
    head = {**terms, "include_dashboard": False, "_system_config": {**_SLOW_START, **_QUICK_DEATH}}
    for tries_left in reversed(range(_TRIES)):
        cluster = None
        try:
            cluster = Cluster(initialize_head=True, head_node_args=head)
            cluster.add_node(**terms)
            return cluster
        except Exception as error:  # Ray has no class of its own for a start that took too long
            if cluster is not None:
                cluster.shutdown()
            if not tries_left or "timed out" not in str(error).lower():
                raise
    raise AssertionError("there is at least one try")
