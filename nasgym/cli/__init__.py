"""The command line: words only, every command calls the library."""

from nasgym.cli.app import app, main

__all__ = ["app", "main"]
