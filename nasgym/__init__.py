"""nasgym: neural architecture search as Gymnasium environments, on trained tables or by training."""

from importlib.util import find_spec
from pathlib import Path

__version__ = "0.1.0"

_ROOT = Path(__file__).resolve().parent.parent
if (_ROOT / "envs" / "__init__.py").is_file() and (_ROOT / "agents" / "__init__.py").is_file():
    __path__.append(str(_ROOT))  # a checkout: nasgym.envs and nasgym.agents stand beside nasgym

if find_spec("gymnasium") is not None:  # training and filling work where gymnasium is not installed
    from nasgym.envs.registration import register_envs

    register_envs()

__all__ = ["__version__"]
