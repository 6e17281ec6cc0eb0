"""The ids under which Gymnasium finds the environments."""

__all__ = ["register_envs"]


def register_envs() -> None:
    """Register every environment id with Gymnasium, once."""
