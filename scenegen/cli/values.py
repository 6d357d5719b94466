"""Nested values on the terminal: as JSON, or as indented lines."""

from __future__ import annotations

import json
import sys
from typing import Any


def write_values(values: dict[str, Any], *, is_json: bool) -> None:
    """Print nested values as JSON, or as indented lines."""
    if is_json:
        sys.stdout.write(json.dumps(values, indent=2, sort_keys=False) + "\n")
        return
    _write_lines(values, indent="")


def _write_lines(values: dict[str, Any], *, indent: str) -> None:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            sys.stdout.write(f"{indent}{key}:\n")
            _write_lines(value, indent=indent + "  ")
            continue
        if key == "lost":
            sys.stdout.write(f"{indent}{key}:\n" + "".join(f"{indent}  {item}\n" for item in value))
            continue
        text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
        sys.stdout.write(f"{indent}{key}: {text}\n")
