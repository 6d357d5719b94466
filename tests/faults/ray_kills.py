"""SIGKILL at random moments to the parts of a Ray job: its workers, its driver, a raylet, the control store, the head.

The seed fixes victims and delays. What was being done when a delay ended depends on the machine.
"""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scenegen.dataset import committed_scene_ids
from tests.faults.checks import assert_finished, assert_nothing_or_whole
from tests.faults.ray_cluster import TwoNodes
from tests.faults.ray_job import SCENE_IDS
from tests.faults.small_job import write_missing

LONGEST_JOB_S = 200.0
POLL_S = 0.02
ROLES = ("worker", "driver", "raylet", "control store", "head")
ENDS_THE_CLUSTER = ("control store", "head")


@dataclass(kw_only=True)
class RayKillTally:
    """What was killed, over how many jobs and starts of their drivers."""

    seed: int
    num_jobs: int = 0
    num_starts: int = 0
    kills: Counter[str] = field(default_factory=Counter)


class RayKills:
    """Jobs of small scenes on a cluster that is replaced when its head was killed."""

    def __init__(self, new_place: Callable[[], Path], *, seed: int, num_kills: int) -> None:
        self._new_place = new_place
        self._chance = random.Random(seed)
        whole_rounds = -(-num_kills // len(ROLES))
        self._victims = self._chance.sample(ROLES * whole_rounds, num_kills)  # every role about as often
        self._nodes = TwoNodes(num_cpus=1)
        self.tally = RayKillTally(seed=seed)

    def run(self, undisturbed: dict[str, str]) -> None:
        """Kill until all victims were hit; every job is run to its end and checked."""
        try:
            while self._victims:
                place = self._new_place()
                while not self._has_finished(place):
                    assert_nothing_or_whole(place)
                assert_finished(place, undisturbed)
                self.tally.num_jobs += 1
        finally:
            self._nodes.end()

    def _has_finished(self, place: Path) -> bool:
        """Give the command once, with a kill if one is left; return whether the job came to its end."""
        before = committed_scene_ids(place)
        command = [sys.executable, "-m", "tests.faults.ray_job", str(place)]
        with (place.parent / f"{place.name}.log").open("a") as log:
            driver = subprocess.Popen(command, env=self._nodes.environment(), stdout=log, stderr=log)
        self.tally.num_starts += 1
        victim = self._victims[-1] if self._victims else None
        num_more = self._chance.randint(0, (len(SCENE_IDS) - len(before)) // 2)
        if victim is not None and self._wait_for_scenes(place, driver, len(before) + num_more):
            time.sleep(self._chance.uniform(0.0, 0.2))
            if self._kill(victim, driver):
                self.tally.kills[self._victims.pop()] += 1
        code = driver.wait(LONGEST_JOB_S)
        self._mend(victim)
        assert before <= committed_scene_ids(place), f"seed {self.tally.seed}: a committed scene was lost"
        is_survivable = victim in (None, "worker", "raylet")
        assert code == 0 or not is_survivable, (
            f"seed {self.tally.seed}: {victim} was killed, the driver ended with {code}"
        )
        return code == 0

    def _wait_for_scenes(self, place: Path, driver: subprocess.Popen[bytes], num_scenes: int) -> bool:
        """Wait until workers are at work and so many scenes are committed; return whether the driver still runs."""
        deadline_s = time.monotonic() + LONGEST_JOB_S
        while driver.poll() is None:
            assert time.monotonic() < deadline_s, f"seed {self.tally.seed}: a job does not go on"
            is_at_work = (place / "staging").exists() and self._nodes.workers("SmallWorker")
            if is_at_work and len(committed_scene_ids(place)) >= num_scenes:
                return True
            time.sleep(POLL_S)
        return False

    def _kill(self, victim: str, driver: subprocess.Popen[bytes]) -> bool:
        """Kill; return whether it was there to be killed, and the driver at work."""
        if driver.poll() is not None:
            return False
        match victim:
            case "worker":
                workers = self._nodes.workers("SmallWorker")
                if not workers:
                    return False
                self._chance.choice(sorted(workers, key=lambda process: process.pid)).kill()
            case "driver":
                driver.kill()
            case "raylet":
                self._nodes.kill_second()
            case "control store":
                self._nodes.kill_control_store()
            case "head":
                self._nodes.kill_head()
        return True

    def _mend(self, victim: str | None) -> None:
        """Put another node or cluster in the place of what was killed."""
        if victim == "raylet" and not self._nodes.has_second():
            self._nodes.replace_second()
        if victim in ENDS_THE_CLUSTER and not self._nodes.has_control_store():
            self._nodes.end()
            self._nodes = TwoNodes(num_cpus=1)


def undisturbed_hashes() -> dict[str, str]:
    """Return scene -> content hash of the job in one process without any fault."""
    from scenegen.dataset import fold_receipts

    write_missing("memory://undisturbed/ray", scene_ids=SCENE_IDS)
    return {entry.scene_id: entry.content_sha256 for entry in fold_receipts("memory://undisturbed/ray").scenes}
