"""Why a scene failed, and whether trying it again makes sense."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from scenegen.errors import SceneGenError


class FailureKind(StrEnum):
    """The classes of failure.

    `INPUT` and `ERROR` come again however often one tries: bad input, a full disk, or a mistake in the code. The
    others are the machine's: `MEMORY` ran out, the `WORKER` process died, its `NODE` was lost or taken away.
    """

    INPUT = "input"
    ERROR = "error"
    MEMORY = "memory"
    WORKER = "worker"
    NODE = "node"


@dataclass(frozen=True, kw_only=True)
class RetryRule:
    """How often a scene is started before it counts as failed.

    Attributes:
        max_attempts: starts in all, where memory ran out or workers died.
        max_node_losses: lost nodes on top of them. Spot machines vanish through no fault of the scene.
    """

    max_attempts: int
    max_node_losses: int

    def allows_another(self, history: Sequence[FailureKind]) -> bool:
        """Say whether a scene that failed this way so far deserves another attempt.

        >>> rule = RetryRule(max_attempts=2, max_node_losses=1)
        >>> rule.allows_another([FailureKind.WORKER]), rule.allows_another([FailureKind.WORKER, FailureKind.MEMORY])
        (True, False)
        >>> rule.allows_another([FailureKind.NODE]), rule.allows_another([FailureKind.INPUT])
        (True, False)
        """
        if FailureKind.INPUT in history or FailureKind.ERROR in history:
            return False
        num_lost = sum(kind is FailureKind.NODE for kind in history)
        return len(history) - num_lost < self.max_attempts and num_lost <= self.max_node_losses


def failure_kind(error: BaseException) -> FailureKind:
    """Classify what a scene's own code raised."""
    if isinstance(error, SceneGenError):
        return FailureKind.INPUT
    # torch raises an OutOfMemoryError of its own, which is not imported for its name.
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return FailureKind.MEMORY
    return FailureKind.ERROR
