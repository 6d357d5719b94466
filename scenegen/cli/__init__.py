"""The console script `scenegen`. Verbs live in `jobs` (Hydra overrides) and `look` (plain arguments)."""

from scenegen.cli.main import main

__all__ = ["main"]
