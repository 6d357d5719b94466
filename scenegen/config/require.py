"""What several fields of a configuration are asked for: a known name, a number above zero."""

from __future__ import annotations

import difflib
from typing import Any

from scenegen.errors import ConfigError


def require_choice(config: Any, name: str, choices: tuple[str, ...]) -> None:
    """Raise `ConfigError` unless a field is one of `choices`; says which one was probably meant."""
    value = getattr(config, name)
    if value not in choices:
        near = difflib.get_close_matches(value, choices, n=1)
        raise ConfigError(
            f"{name} in {', '.join(choices)}", found=repr(value), fix=f"did you mean {near[0]!r}?" if near else ""
        )


def require_positive(config: Any, *names: str) -> None:
    """Raise `ConfigError` unless every named field is above zero."""
    for name in names:
        value = getattr(config, name)
        if not value > 0:
            raise ConfigError(f"{name} above zero", found=str(value))


def require_not_negative(config: Any, *names: str) -> None:
    """Raise `ConfigError` where a named field is below zero."""
    for name in names:
        value = getattr(config, name)
        if value < 0:
            raise ConfigError(f"{name} of zero or more", found=str(value))
