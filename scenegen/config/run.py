"""Where scenes run, with what, and how much failure is borne. Only `threads_per_scene` may change a byte."""

from __future__ import annotations

from dataclasses import dataclass

from scenegen.config.require import require_choice, require_not_negative, require_positive
from scenegen.errors import ConfigError

RUN_NAMES = ("serial", "ray", "ray_local", "ray_cluster")
PLACEMENTS = ("pack", "spread")


@dataclass(frozen=True, kw_only=True)
class RunConfig:
    """Where scenes run.

    Attributes:
        name: `serial` in this process; `ray_local` on a Ray cluster started for the job on this machine; `ray_cluster`
            on the one at RAY_ADDRESS; `ray` on whichever of the two there is.
        num_workers: scenes in flight, and actors of Ray. No more than that is ever queued.
        threads_per_scene: threads of one scene's arithmetic, and processors that an actor asks for.
        gpus_per_worker: GPUs that an actor asks for; a fraction shares one among several.
        memory_gib_per_worker: memory that an actor asks for; None leaves it open.
        placement: `pack` fills nodes one after the other, `spread` distributes actors over them.
        max_failures: no new scene is started once more than this many have failed.
        max_attempts: starts of a scene whose workers die or run out of memory.
        max_node_losses: further starts of a scene whose nodes are lost or taken away.
        drain_s: seconds that running scenes are given to finish after SIGTERM; 0 abandons them at once.
        checkpoint: save every chunk of a scene, so that one whose painter was killed goes on behind the last of them.
        hang_s: a worker whose scene has had no new frame for so long is killed, and its scene given to another. It must
            exceed the slowest chunk, and what comes before the first and after the last; None waits for ever.
        require_token: refuse a Ray cluster beyond this machine that asks for no token.
    """

    name: str
    num_workers: int
    threads_per_scene: int
    gpus_per_worker: float
    memory_gib_per_worker: float | None
    placement: str
    max_failures: int
    max_attempts: int
    max_node_losses: int
    drain_s: float
    hang_s: float | None
    checkpoint: bool
    require_token: bool

    def __post_init__(self) -> None:
        require_choice(self, "name", RUN_NAMES)
        require_choice(self, "placement", PLACEMENTS)
        require_positive(self, "num_workers", "threads_per_scene", "max_attempts")
        require_not_negative(self, "gpus_per_worker", "max_failures", "max_node_losses", "drain_s")
        if self.memory_gib_per_worker is not None:
            require_positive(self, "memory_gib_per_worker")
        if self.hang_s is not None:
            require_positive(self, "hang_s")
        if self.gpus_per_worker > 1.0 and not self.gpus_per_worker.is_integer():
            raise ConfigError("gpus_per_worker of at most one, or a whole number", found=str(self.gpus_per_worker))
