"""Tokens of scenes and samples: the same for the same scene, whenever and however often it is exported."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("6d1c3c9e-8f0b-5a6f-9d3e-5c1d2a7b4e90")


def token_of(*parts: object) -> str:
    """Return the token of anything that its parts name: 32 hex digits, a version 5 UUID.

    >>> token_of("sample", "crossing-0a1b2c3d", 6) == token_of("sample", "crossing-0a1b2c3d", 6)
    True
    """
    return uuid.uuid5(_NAMESPACE, "/".join(str(part) for part in parts)).hex


def scene_token(scene_id: str) -> str:
    """Return the token of a scene."""
    return token_of("scene", scene_id)


def sample_token(scene_id: str, step: int) -> str:
    """Return the token of one step of a scene."""
    return token_of("sample", scene_id, step)
