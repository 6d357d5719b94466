"""How many steps a run takes: those of its recipe, or as many as fit into a time budget.

The budget is turned into a number of steps once, from the speed of the first ones, and that number is written down:
the schedule of the learning rate needs it, and a resumed run keeps it.
"""

from __future__ import annotations

import json
import time
from dataclasses import replace
from pathlib import Path

from scenegen.config import TrainConfig
from scenegen.training.team import Team

PLAN_AFTER_STEPS = 40
"""Steps before the plan is made; the second half of them is timed."""


class StepPlan:
    """The plan of one run.

    Args:
        config: as given; `StepPlan.config` has the planned number of steps.
        team: its slowest process decides.
        first: steps done by earlier runs.
        began_s: monotonic time from which the budget counts.
    """

    def __init__(self, config: TrainConfig, team: Team, *, first: int, began_s: float) -> None:
        self.config = config
        self.first = first
        self._team = team
        self._path = Path(config.output) / "plan.json"
        self._deadline_s = None if config.recipe.time_budget_s is None else began_s + config.recipe.time_budget_s
        self._half_way_s = 0.0
        if self._deadline_s is not None and first > 0 and self._path.is_file():
            self._set_steps(int(json.loads(self._path.read_text())["steps"]))

    def step_done(self, done: int) -> int:
        """Count a step; returns the number of steps in all."""
        taken = done - self.first
        if self._deadline_s is not None and taken == PLAN_AFTER_STEPS // 2:
            self._half_way_s = time.monotonic()
        if self._deadline_s is not None and taken == PLAN_AFTER_STEPS:
            now_s = time.monotonic()
            per_step_s = (now_s - self._half_way_s) / (PLAN_AFTER_STEPS - PLAN_AFTER_STEPS // 2)
            fitting = done + max(1, int((self._deadline_s - now_s) / per_step_s))
            self._set_steps(self._team.agree_on_least(min(self.config.recipe.steps, fitting)))
            if self._team.is_leader:
                self._path.write_text(json.dumps({"steps": self.config.recipe.steps}))
        return self.config.recipe.steps

    def _set_steps(self, steps: int) -> None:
        self._deadline_s = None
        self.config = replace(self.config, recipe=replace(self.config.recipe, steps=steps))
