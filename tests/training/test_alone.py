"""Training works where neither gymnasium nor lmdb is installed."""

from __future__ import annotations

import subprocess
import sys

_SCRIPT = """
import sys
for absent in ("gymnasium", "lmdb", "stable_baselines3", "torchvision"):
    sys.modules[absent] = None
from dataclasses import replace
from nasgym.recipes import get_recipe
from nasgym.spaces import NB201
from nasgym.training import Trainer
recipe = replace(get_recipe("cluttered-digits-10"), name="tiny", epochs=1, batch_size=1500, channels=1)
result = Trainer(NB201(), "cluttered-digits", recipe, device="cpu")(NB201().from_index([1835])[0], 0)
assert 0 <= result.valid_accuracy <= 1
assert not any(name.startswith("nasgym.store") for name in sys.modules)
"""


def test_training_needs_neither_gymnasium_nor_lmdb() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
