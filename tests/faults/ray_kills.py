"""SIGKILL at random moments to parts of a Ray cluster under a job; every job is run to its end by the same command."""

from __future__ import annotations

import random
import subprocess
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from tests.faults.checks import assert_finished, assert_nothing_or_whole
from tests.faults.ray_cluster import TwoNodes, two_nodes
from tests.faults.ray_job import start_driver

WORKER, RAYLET, DRIVER, CONTROL_STORE = ROLES = ("worker", "raylet", "driver", "control store")
MAKING = "SceneWorker.make"
CPUS_PER_NODE = 2
"""Of which an actor takes all."""
LONGEST_DELAY_S = 1.0
LONGEST_S = 600.0
POLL_S = 0.005


@dataclass(kw_only=True)
class RayKillTally:
    """What was killed, in how many jobs."""

    seed: int
    num_jobs: int = 0
    kills: Counter[str] = field(default_factory=Counter)


class RandomRayKills:
    """Kills every role about equally often, up to a second after a scene began, and checks all data sets.

    Args:
        folder: for the data sets of the jobs.
        undisturbed: scene -> content hash, of a job without any fault.
        seed: of the order of roles, and of delays; what processes do then depends on the machine.
        num_kills: how many must hit a living process under a job that has not ended.
    """

    def __init__(self, folder: Path, *, undisturbed: Mapping[str, str], seed: int, num_kills: int) -> None:
        self._folder = folder
        self._undisturbed = undisturbed
        self._chance = random.Random(seed)
        self._coming = [ROLES[number % len(ROLES)] for number in range(num_kills)]
        self._chance.shuffle(self._coming)
        self._tally = RayKillTally(seed=seed)

    def run(self) -> RayKillTally:
        """Run jobs until all kills are done; a control store that was killed is followed by a new cluster."""
        with ExitStack() as stack:
            nodes = stack.enter_context(two_nodes(num_cpus=CPUS_PER_NODE))
            while self._coming:
                place = self._folder / f"ds-{self._tally.num_jobs}"
                while not self._run_driver(nodes, place):
                    assert_nothing_or_whole(place)
                    if not nodes.has_control_store():
                        stack.close()
                        nodes = stack.enter_context(two_nodes(num_cpus=CPUS_PER_NODE))
                assert_finished(place, self._undisturbed)
                self._tally.num_jobs += 1
        return self._tally

    def _run_driver(self, nodes: TwoNodes, place: Path) -> bool:
        """Give the command once, and kill until it ends; return whether it ended well."""
        driver, last = start_driver(place, nodes.environment()), ""
        while self._coming and last not in (DRIVER, CONTROL_STORE) and self._sees_scene(nodes, driver):
            time.sleep(self._chance.uniform(0.0, LONGEST_DELAY_S))
            if driver.poll() is None and self._kill(self._coming[0], nodes, driver):
                last = self._coming.pop(0)
                self._tally.kills[last] += 1
        _, complaints = driver.communicate(timeout=LONGEST_S)
        is_killed = last in (DRIVER, CONTROL_STORE)
        assert is_killed or driver.returncode == 0, f"seed {self._tally.seed}, {self._tally.kills}: {complaints}"
        return driver.returncode == 0

    def _kill(self, role: str, nodes: TwoNodes, driver: subprocess.Popen[str]) -> bool:
        """Kill a process; return False where none of that role is there."""
        match role:
            case "worker":
                makers = nodes.workers(MAKING)
                if not makers:
                    return False
                self._chance.choice(makers).kill()
            case "raylet":
                nodes.kill_second()
                nodes.replace_second()
            case "driver":
                driver.kill()
            case "control store":
                nodes.kill_control_store()
        return True

    def _sees_scene(self, nodes: TwoNodes, driver: subprocess.Popen[str]) -> bool:
        """Wait until an actor makes a scene; return False where the driver ended before."""
        deadline_s = time.monotonic() + LONGEST_S
        while driver.poll() is None:
            if nodes.workers(MAKING):
                return True
            assert time.monotonic() < deadline_s, f"seed {self._tally.seed}: no scene begins"
            time.sleep(POLL_S)
        return False
