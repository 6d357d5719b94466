"""All benchmarks together: figures are gathered, written, and put into a document; who fails is named."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import __main__ as bench
from benchmarks.figure import Figure

FAST = Figure(ratio=2.0, min=1.5, max=3.0, floor=1.0, holds=True)
SLOW = Figure(ratio=2.0, min=1.5, max=3.0, floor=1.0, holds=False)


def test_figures_are_gathered_and_put_between_the_marks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "run_module", lambda name, quick: {"speed": FAST, "size": SLOW})
    document = tmp_path / "README.md"
    document.write_text(f"before\n{bench.BEGIN}\nearlier\n{bench.END}\nafter\n")
    assert bench.main(["storage", "--json", str(tmp_path / "all.json"), "--readme", str(document)]) == 1
    text = document.read_text()
    assert text.startswith("before\n") and text.endswith("after\n") and "earlier" not in text
    assert "| `storage` | `speed` | 2 | 1.5 | 3 | at least 1 | holds |" in text
    assert "| `storage` | `size` | 2 | 1.5 | 3 | at most 1 | **missed** |" in text
    document.write_text(f"{bench.BEGIN}{bench.END}")
    bench.main(["--from", str(tmp_path / "all.json"), "--readme", str(document)])
    assert bench.markdown_of({"storage": {"speed": FAST, "size": SLOW}}) in document.read_text()


def test_a_benchmark_that_cannot_run_is_named_and_the_others_run(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(bench, "run_module", lambda name, quick: None if name == "storage" else {"speed": FAST})
    assert bench.main(["storage", "loader"]) == 2
    printed = capsys.readouterr()
    assert "could not run: storage" in printed.err and "speed" in printed.out


def test_a_document_without_marks_is_refused(tmp_path: Path) -> None:
    document = tmp_path / "README.md"
    document.write_text(bench.END)
    with pytest.raises(ValueError, match="bench: begin"):
        bench.replace_table(document, "")
