"""Build hook: content folders ship inside the package, never as top-level Python packages.

A top-level `datasets` in site-packages would shadow, and overwrite, the Hugging Face library of that name.
An editable install reads the folders of the checkout instead, so that no stale copy can win.
"""

from __future__ import annotations

from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

CONTENT_FOLDERS = ("conf", "layouts", "datasets")


class ContentFolders(BuildHookInterface):  # type: ignore[type-arg]
    """Map conf/, layouts/ and datasets/ to scenegen/<name> in a wheel."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add the folders to a standard wheel; `version` is `standard` or `editable`."""
        if version == "standard":
            build_data["force_include"].update({name: f"scenegen/{name}" for name in CONTENT_FOLDERS})
