"""What is retrained: the small network, and each ingredient left out of it. Ordered by how much the answer matters."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from benchmarks.ablations.clips import Use
from scenegen.video.latent import AutoencoderSize
from scenegen.video.network import NetworkSize

SMALL = NetworkSize(pixel=48, detail=16, middle=48, deep=96, num_middle=1, num_deep=2, embedding=64)


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One training.

    Attributes:
        size: of the network.
        repulsion: two draws per window and their distance in the loss (energy score); otherwise one draw and its
            distance to the truth, which paints medians.
        history: what clips are trained with. `joint`: stages 2 and 3 of `training.video`; `shared`: stage 2 for all
            of the time, one own history for both draws; `true`: likewise, but the true frames, damaged.
        anchored: most noise belongs to surfaces, in training and in use.
        random_rigs: windows of random rigs as well as of nuscenes6.
        damage: true history is blurred, tinted, roughened and punched; it is dropped as often in any case.
        latent: flow in the latents of this autoencoder instead of in pixels.
        seed: of all randomness of the training; the first weights are the same where shapes agree.
    """

    size: NetworkSize = SMALL
    repulsion: bool = True
    history: Literal["joint", "shared", "true"] = "joint"
    anchored: bool = True
    random_rigs: bool = True
    damage: bool = True
    latent: AutoencoderSize | None = None
    seed: int = 0

    @property
    def use(self) -> Use:
        """How the trained model is used: with all the chance that it has learned."""
        return Use(anchored=self.anchored, temperature=1.0)


def _without(part: Literal["attention", "cross_view"]) -> NetworkSize:
    return replace(SMALL, attention=part != "attention", cross_view=part != "cross_view")


GUIDE = 16
ARMS: dict[str, Arm] = {
    "full": Arm(),
    "shared_history": Arm(history="shared"),
    "latent_f8": Arm(history="shared", latent=AutoencoderSize(factor=8, channels=16, guide=GUIDE + 3)),
    "latent_f4": Arm(history="shared", latent=AutoencoderSize(factor=4, channels=8, guide=GUIDE + 3)),
    "no_repulsion": Arm(history="shared", repulsion=False),
    "true_history": Arm(history="true"),
    "full_other_seed": Arm(seed=1),
    "no_cross_view": Arm(size=_without("cross_view")),
    "no_attention": Arm(size=_without("attention")),
    "temporal_none": Arm(size=replace(SMALL, temporal="none")),
    "temporal_window": Arm(size=replace(SMALL, temporal="window")),
    "nuscenes6_only": Arm(random_rigs=False),
    "no_anchored_noise": Arm(anchored=False),
    "no_damage": Arm(damage=False),
}
COMPARED_WITH = dict.fromkeys(("latent_f8", "latent_f4", "no_repulsion", "true_history"), "shared_history")
"""Arms that differ in one thing from another arm than `full`."""
PLAIN_AUTOENCODERS = {
    "f8": AutoencoderSize(factor=8, channels=16),
    "f4": AutoencoderSize(factor=4, channels=8),
}
"""Autoencoders without a guide, trained for as long as those of the latent arms: only their pictures are judged."""
