"""Files that would unpack to far more than they are: refused within half a gigabyte, in one process for all of them."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import google_crc32c
import pytest

from tests.unit.layout.importers import protobuf_wire, test_argoverse2_motion, test_l5kit, test_l5kit_map
from tests.unit.layout.importers.protobuf_wire import block, tfrecord

pytest.importorskip("pyproj", reason="pyproj is not installed (extra `geo`)")
pytest.importorskip("google.protobuf", reason="protobuf is not installed (extra `waymo`)")
pytest.importorskip("pyarrow", reason="PyArrow is not installed (extra `generate`)")

MOST_MB = 512
# VmHWM, not ru_maxrss: that one remembers the process that this one was forked from.
CODE = """
import sys
from scenegen.cli import main
refused = [main(["layout", "validate", reference]) for reference in sys.argv[1:]]
(peak,) = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(refused, int(peak) // 1024)
"""


def test_bombs_take_no_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protobuf_wire, "crc32c", google_crc32c.value)  # bit by bit it would take minutes
    states = tmp_path / "states.tfrecord"
    states.write_bytes(tfrecord([block(2, b"\x1a\x00" * (4 * 2**20 - 16))]))
    elements = test_l5kit_map.write(tmp_path / "elements", b"\x12\x00" * (8 * 2**20))
    chunk = test_l5kit.write(tmp_path / "chunk", test_l5kit.arrays())
    packed = (chunk / "agents" / "1").read_bytes()
    (chunk / "agents" / "1").write_bytes(packed[:4] + struct.pack("<I", 2**32 - 1) + packed[8:])
    rows = tmp_path / "rows"
    test_argoverse2_motion.write_many_rows(rows)
    references = [f"waymo:{states}", f"l5kit:{elements}/1", f"l5kit:{chunk}/1", f"av2_motion:{rows}"]
    finished = subprocess.run([sys.executable, "-c", CODE, *references], capture_output=True, text=True, check=True)
    codes, used_mb = finished.stdout.strip().splitlines()[-1].rsplit(" ", 1)
    assert codes == "[2, 2, 2, 2]", finished.stderr
    assert int(used_mb) < MOST_MB
