"""SIGKILL at random moments, to a random process of a job, until enough have hit; every job is run to its end.

The seed fixes victims and delays. What a process was doing when a delay ended depends on the machine.
"""

from __future__ import annotations

import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from scenegen.dataset import committed_scene_ids, fold_receipts
from tests.faults.checks import assert_finished, assert_nothing_or_whole
from tests.faults.small_job import ROLES, start_process, write_missing

LONGEST_JOB_S = 120.0


@dataclass(kw_only=True)
class KillTally:
    """What was killed: processes by role, over how many jobs."""

    seed: int
    num_jobs: int = 0
    kills: Counter[str] = field(default_factory=Counter)


def kill_at_random(new_place: Callable[[], Path | str], *, seed: int, num_kills: int) -> KillTally:
    """Run jobs of small scenes under random kills, and check every data set during and after.

    Args:
        new_place: returns an empty place for a data set.
        seed: of victims and delays.
        num_kills: how many must hit a living process.
    """
    chance, tally = random.Random(seed), KillTally(seed=seed)
    whole = new_place()
    started_s = time.perf_counter()
    write_missing(whole)
    job_s = time.perf_counter() - started_s
    undisturbed = {entry.scene_id: entry.content_sha256 for entry in fold_receipts(whole).scenes}
    while tally.kills.total() < num_kills:
        place = new_place()
        _run_one_job(place, chance=chance, tally=tally, num_kills=num_kills, job_s=job_s)
        assert_finished(place, undisturbed)
        tally.num_jobs += 1
    return tally


def _run_one_job(place: Path | str, *, chance: random.Random, tally: KillTally, num_kills: int, job_s: float) -> None:
    """Keep a writer and a committer running, one of them being killed now and then, until both have finished."""
    processes = {role: start_process(role, place) for role in ROLES}
    committed: frozenset[str] = frozenset()
    deadline_s = time.monotonic() + LONGEST_JOB_S
    while processes:
        assert time.monotonic() < deadline_s, f"seed {tally.seed}: a job does not end"
        time.sleep(chance.uniform(0.0, 0.5 * job_s))
        victim = chance.choice(sorted(ROLES))
        if victim in processes and tally.kills.total() < num_kills:
            processes[victim].kill()
        for role in sorted(processes):
            process = processes[role]
            if role == victim:
                process.join()
            if process.exitcode is None:
                continue
            if process.exitcode == -signal.SIGKILL:
                tally.kills[role] += 1
                processes[role] = start_process(role, place)
            else:
                assert process.exitcode == 0, f"seed {tally.seed}: {role} ended with {process.exitcode}"
                del processes[role]
        assert_nothing_or_whole(place)
        assert committed <= committed_scene_ids(place), f"seed {tally.seed}: a committed scene was lost"
        committed = committed_scene_ids(place)
