"""What `recipe=rtdmd` is told beside what every recipe is: models, sampler, weights of its losses, its guard."""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.config.require import require_choice, require_positive
from scenegen.errors import ConfigError

KERNELS = ("bridge", "cps")
GUARD_ACTIONS = ("stop", "warn")


@dataclass(frozen=True, kw_only=True)
class RtdmdConfig:
    """Reward-tilted distribution matching distillation (`scenegen.training.rtdmd`).

    Attributes:
        teacher: weights of a native network; None for the shipped one.
        student: weights the student starts from; None for the teacher's.
        rewards: weights of `recipe=reward`; needed where `recipe.steps` goes beyond the cold start.
        sampling_steps: of the student; two or more.
        eta: share of new noise of its CPS sampler, 0..1 and not 0.
        cold_start_steps: optimiser steps of stage 1; the rest of `recipe.steps` is stage 2.
        fake_learning_rate: of the fake score.
        generator_every: in stage 1, the student takes one step while the fake score takes this many.
        consistency_weight: of the fake score's consistency term; 0 leaves it out.
        consistency_kernel: `bridge` or `cps` (as published).
        teacher_draws: draws of the teacher whose mean is its estimate of x_0.
        group_size: rollouts of one condition in stage 2.
        chosen_steps: stochastic steps that SubGRPO picks, fewer than `sampling_steps`.
        distribution_weight: of distribution matching in stage 2; 0 is the negative control.
        policy_weight: of the policy gradient.
        reward_weight: of the rewards' own gradient through the last step.
        guard_every_steps: distance between measurements on held-out windows.
        least_diversity: of the student's draws relative to the teacher's.
        guard: `stop` or `warn` where diversity is below that.
    """

    teacher: str | None
    student: str | None
    rewards: str | None
    sampling_steps: int
    eta: float
    cold_start_steps: int
    fake_learning_rate: float
    generator_every: int
    consistency_weight: float
    consistency_kernel: str
    teacher_draws: int
    group_size: int
    chosen_steps: int
    distribution_weight: float
    policy_weight: float
    reward_weight: float
    guard_every_steps: int
    least_diversity: float
    guard: str

    def __post_init__(self) -> None:
        require_choice(self, "consistency_kernel", KERNELS)
        require_choice(self, "guard", GUARD_ACTIONS)
        require_positive(self, "fake_learning_rate", "generator_every", "teacher_draws", "guard_every_steps")
        if self.sampling_steps < 2:
            raise ConfigError("sampling_steps of two or more", found=str(self.sampling_steps))
        if not 0.0 < self.eta <= 1.0:
            raise ConfigError("eta above 0 and at most 1: without new noise there is no policy", found=str(self.eta))
        if not 1 <= self.chosen_steps < self.sampling_steps:
            raise ConfigError(f"chosen_steps of 1 to {self.sampling_steps - 1}", found=str(self.chosen_steps))
        if self.group_size < 2:
            raise ConfigError("group_size of two or more", found=str(self.group_size))
        for name in ("consistency_weight", "distribution_weight", "policy_weight", "reward_weight", "cold_start_steps"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} of zero or more", found=str(getattr(self, name)))
