"""Drop-in facades: the calls of `nats_bench`, `nas_201_api` and `nasbench`, answered from the nasgym store.

``from nasgym.compat.nats_bench import create`` in place of ``from nats_bench import create`` moves a script over. To
change nothing at all, run it with ``python -m nasgym.compat script.py``, or call `install` first. `docs/compat.md`
tells the rest.
"""

from nasgym.compat.installing import MODULES, install

__all__ = ["MODULES", "install"]
