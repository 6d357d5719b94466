"""What every malformed file must come to: one typed line that names it, exit code 2, soon, and nothing written."""

from __future__ import annotations

import io
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

from scenegen.cli import main


def assert_refused(reference: str, folder: Path, *words: str) -> None:
    """Import by the command line; `words` must be in what it says."""
    out, said = folder / "not_written" / "layout.yaml", io.StringIO()
    begin_s = time.process_time()
    with redirect_stderr(said), redirect_stdout(io.StringIO()):
        code = main(["layout", "import", reference, "-o", str(out)])
    text = said.getvalue()
    assert code == 2, text
    assert time.process_time() - begin_s < 2.0
    assert text.startswith("scenegen: ") and text.count("\n") == 1 and len(text) < 3000, text
    for word in words:
        assert word in text, text
    assert not out.parent.exists()
