"""Threads that wait for work sleep, whichever way painting is started, unless the user said otherwise."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROBE = """
import os
from scenegen.cli import main
main(["layout", "show", "crossing_pedestrian"])
print(os.environ["OMP_WAIT_POLICY"])
"""
SPINNING = """
import resource, sys, threading, time
if sys.argv[1] == "sleep":
    from scenegen.video.threads import let_waiting_threads_sleep
    let_waiting_threads_sleep()
import torch
torch.set_num_threads(2)
x = torch.randn(400, 400)
def use(seconds):
    begun_s, cpu = time.perf_counter(), time.process_time()
    while time.perf_counter() - begun_s < seconds:
        (x * 2.0).sum()
        time.sleep(0.0005)
    return time.process_time() - cpu
use(0.3)
print(use(1.0))
"""


@pytest.mark.parametrize("given", [None, "ACTIVE"])
def test_the_command_line_lets_threads_sleep(given: str | None) -> None:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}
    if given:
        environment["OMP_WAIT_POLICY"] = given
    answer = subprocess.run(
        [sys.executable, "-c", PROBE], check=True, capture_output=True, text=True, env=environment
    ).stdout
    assert answer.split()[-1] == (given or "PASSIVE")


def test_sleeping_threads_cost_less_than_spinning_ones() -> None:
    environment = {key: value for key, value in os.environ.items() if key != "OMP_WAIT_POLICY"}

    def cost_s(mode: str) -> float:
        answer = subprocess.run(
            [sys.executable, "-c", SPINNING, mode], check=True, capture_output=True, text=True, env=environment
        ).stdout
        return float(answer)

    rounds = [(cost_s("spin"), cost_s("sleep")) for _ in range(3)]
    assert min(sleeping_s / spinning_s for spinning_s, sleeping_s in rounds) < 0.8
