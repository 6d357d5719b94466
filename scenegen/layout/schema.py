"""The JSON schema of the YAML format: `python -m scenegen.layout.schema` writes it into layouts/."""

from __future__ import annotations

import json
from pathlib import Path

from scenegen.layout.yaml_format import LayoutSpec


def layout_schema() -> str:
    """Return the schema as the text of `layouts/layout.schema.json`."""
    schema = LayoutSpec.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "scenegen layout"
    return json.dumps(schema, indent=2) + "\n"


def write_layout_schema() -> Path:
    """Write the schema beside the layouts of this checkout and return its path."""
    path = Path(__file__).resolve().parents[2] / "layouts" / "layout.schema.json"
    path.write_text(layout_schema(), encoding="utf-8")
    return path


if __name__ == "__main__":
    write_layout_schema()
