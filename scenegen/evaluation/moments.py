"""Which steps of a scene are looked at. Nearly all scores need a step and the two before it, not the whole scene."""

from __future__ import annotations

from dataclasses import dataclass

TRACK_STEPS = 3
"""Steps of an ordinary window: a surface is followed over three."""
CLIP_STEPS = 8
"""Steps of a long window: a clip, for the distance of motion."""
LONG_EVERY_S = 2.0
"""Time between long windows; the leak test is made at their last step as well."""


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A judged step, and how many steps up to and including it are needed."""

    step: int
    num_steps: int

    @property
    def is_long(self) -> bool:
        """Whether there is a clip, and a leak test."""
        return self.num_steps == CLIP_STEPS

    @property
    def start_step(self) -> int:
        """First step needed."""
        return self.step - self.num_steps + 1


def plan_moments(num_steps: int, *, rate_hz: float, every: int) -> tuple[Moment, ...]:
    """Return every `every`-th step with its window. Scenes shorter than that are looked at in their last step.

    >>> [(moment.step, moment.num_steps) for moment in plan_moments(24, rate_hz=12.0, every=6)]
    [(5, 3), (11, 3), (17, 3), (23, 8)]
    """
    first = min(max(every, TRACK_STEPS), num_steps) - 1
    steps = list(range(first, num_steps, every))
    gap = max(round(LONG_EVERY_S * rate_hz / every), 1)
    able = [step for step in steps if step >= CLIP_STEPS - 1]
    is_long = {step for index, step in enumerate(steps) if index % gap == gap - 1 and step in able} or set(able[-1:])
    return tuple(
        Moment(step=step, num_steps=CLIP_STEPS if step in is_long else min(TRACK_STEPS, step + 1)) for step in steps
    )
