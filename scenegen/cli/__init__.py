"""The console script `scenegen`. Verbs live in `jobs` (Hydra overrides) and `look` (plain arguments)."""

from scenegen.cli.command_line import main

__all__ = ["main"]
