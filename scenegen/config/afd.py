"""What `recipe=afd` can be told beyond what every recipe can."""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.config.require import require_choice, require_positive
from scenegen.errors import ConfigError

CREDITS = ("clip", "cell")
LEAST_ROLLOUTS = 2


@dataclass(frozen=True, kw_only=True)
class AfdConfig:
    """Adversarial flow distillation from finished clips.

    Attributes:
        student: weights to start from; None takes the shipped ones.
        rate_hz: of the teacher's clips: what the student is trained for.
        rollouts: of each condition, among which advantages are counted.
        rollout_steps: steps that the student paints by itself.
        clip_steps: consecutive steps of a clip that the discriminator sees, anywhere in a rollout.
        sampling_steps: of a rollout, per picture.
        temperature: what noise is multiplied by, in rollouts and in the update.
        discriminator_learning_rate: 0 leaves the discriminator as it started.
        discriminator_updates: per step.
        gradient_penalty: weight of R1 and of R2.
        student_updates: per step, on the same rollouts.
        beta: inverse of the length of the update (`forward_process_update`).
        prior: weight that holds the student near its start.
        old_decay: how much of the sampling network stays as it is in a step.
        credit: one weight for a whole `clip`, as published, or one for each `cell` of 8 x 8 pixels and step.
    """

    student: str | None
    rate_hz: float
    rollouts: int
    rollout_steps: int
    clip_steps: int
    sampling_steps: int
    temperature: float
    discriminator_learning_rate: float
    discriminator_updates: int
    gradient_penalty: float
    student_updates: int
    beta: float
    prior: float
    old_decay: float
    credit: str

    def __post_init__(self) -> None:
        require_positive(self, "rate_hz", "rollout_steps", "clip_steps", "sampling_steps", "temperature", "beta")
        require_positive(self, "discriminator_updates", "student_updates")
        require_choice(self, "credit", CREDITS)
        for key in ("discriminator_learning_rate", "gradient_penalty", "prior"):
            if getattr(self, key) < 0.0:
                raise ConfigError("zero or more", found=str(getattr(self, key)), where=key)
        if self.rollouts < LEAST_ROLLOUTS:
            raise ConfigError(
                f"at least {LEAST_ROLLOUTS} rollouts of each condition, to compare them",
                found=str(self.rollouts),
                where="rollouts",
            )
        if self.clip_steps > self.rollout_steps:
            raise ConfigError(
                f"at most the {self.rollout_steps} steps of a rollout", found=str(self.clip_steps), where="clip_steps"
            )
        if not 0.0 <= self.old_decay < 1.0:
            raise ConfigError("from 0 to less than 1", found=str(self.old_decay), where="old_decay")
