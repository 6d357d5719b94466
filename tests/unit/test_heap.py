"""Freed memory is kept: a second block of the same size costs no page faults."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROBE = """
import resource, sys
import numpy as np
from scenegen.heap import keep_freed_memory
if sys.argv[1] == "kept" and not keep_freed_memory():
    print("refused")
    sys.exit()
def touch():
    np.zeros(64 << 20, np.uint8).fill(1)
touch()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(3):
    touch()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
PAGES_PER_BLOCK = (64 << 20) // (2 << 20)
"""Even where the kernel maps pages of two megabytes."""


def faults(mode: str) -> int:
    answer = subprocess.run([sys.executable, "-c", PROBE, mode], check=True, capture_output=True, text=True).stdout
    if answer.strip() == "refused":
        pytest.skip("needs glibc's allocator")
    return int(answer)


def test_freed_blocks_are_used_again_without_page_faults() -> None:
    assert faults("kept") < PAGES_PER_BLOCK
    assert faults("given back") >= 3 * PAGES_PER_BLOCK
