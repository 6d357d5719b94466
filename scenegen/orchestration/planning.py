"""From a configuration to named scenes: every layout read once, every scene named, nothing made.

A name needs the whole layout, for it hashes it. What stays of a scene is small all the same: where its layout can be
read again, and what it must hash to. Whoever makes the scene reads it again.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

import scenegen
from scenegen.config import AUTO_SPLIT, NO_SWEEP, GenerateConfig, split_of_layout
from scenegen.errors import LayoutError
from scenegen.painting import open_occupancy
from scenegen.rig import build_rig
from scenegen.types import CameraRig, Layout, Provenance, SceneRecord
from scenegen.types.layout_json import layout_sha256
from scenegen.types.record import FULL_PRECISION
from scenegen.video.interface import VideoBackbone


@dataclass(frozen=True, kw_only=True)
class PlannedScene:
    """A named scene: about three kilobytes, against megabytes of its header.

    Attributes:
        scene_id: `<layout_id>-<8 hex of what decides its bytes>`.
        reference: of the layout, `source:location`.
        prompt: words for its weather and light; None keeps its own.
        layout_id, layout_sha256: of the layout as it will be made: extended, and with the prompt.
        num_steps: of its timeline.
        carried: the layout itself where it lies in files, which another machine may not have; else None.
        rig, seed, split, provenance: as in `SceneRecord`.
    """

    scene_id: str
    reference: str
    prompt: str | None
    layout_id: str
    layout_sha256: str
    num_steps: int
    carried: Layout | None
    rig: CameraRig
    seed: int
    split: str
    provenance: Provenance

    @property
    def num_frames(self) -> int:
        """Images of the scene: steps times cameras."""
        return self.num_steps * len(self.rig.cameras)

    def read_header(self, config: GenerateConfig) -> SceneRecord:
        """Read the layout again and return the header of the scene.

        Raises:
            LayoutError: it is not the layout that was planned.
        """
        return SceneRecord(
            scene_id=self.scene_id,
            layout=self.carried or self._read_layout(config),
            rig=self.rig,
            seed=self.seed,
            split=self.split,
            provenance=self.provenance,
            lidar=config.lidar,
        )

    def _read_layout(self, config: GenerateConfig) -> Layout:
        layout = with_prompt(read_extended(self.reference, config), self.prompt)
        found = layout_sha256(layout)
        if found != self.layout_sha256:
            raise LayoutError(
                f"the layout that was planned, of sha256 {self.layout_sha256[:12]}",
                found=f"sha256 {found[:12]}",
                where=self.reference,
                fix="install the same version of scenegen on every machine",
            )
        return layout


def plan_scenes(config: GenerateConfig, backbone: VideoBackbone) -> list[PlannedScene]:
    """Read every layout and name every scene, so that bad input is found before any work."""
    from scenegen.layout.sources import expand_references
    from scenegen.layout.validate import validate_layout

    variants = [(variant, build_rig(variant.rig)) for variant in expand_sweep(config)]
    scenes: dict[str, PlannedScene] = {}
    for reference in expand_references(list(config.layouts)):
        plain = read_extended(reference, config)
        validate_layout(plain)
        for variant, rig in variants:
            # A prompt changes the environment alone, so all variants share the arrays of one layout.
            layout = with_prompt(plain, variant.prompt)
            scene = plan_scene(layout, reference=reference, rig=rig, config=variant, backbone=backbone)
            scenes[scene.scene_id] = scene
    return list(scenes.values())


def read_extended(reference: str, config: GenerateConfig) -> Layout:
    """Read a layout and bring it to the job's length, rate and style."""
    from scenegen.layout.extend import extend_layout
    from scenegen.layout.sources import read_layout

    layout = extend_layout(
        read_layout(reference, mix=config.traffic), duration_s=config.duration_s, rate_hz=config.rate_hz
    )
    style = config.occupancy.style
    return layout if style is None else replace(layout, environment=replace(layout.environment, style=style))


def with_prompt(layout: Layout, prompt: str | None) -> Layout:
    """Return the layout in the weather and light of a prompt, if there is one."""
    from scenegen.layout.prompt import apply_prompt

    return layout if prompt is None else apply_prompt(layout, prompt)


def expand_sweep(config: GenerateConfig) -> list[GenerateConfig]:
    """Return the job's configuration at every point of its sweep.

    Each is what a job without a sweep would be given, so a scene has the same id and bytes whichever way it is made.
    """
    return [
        replace(
            config,
            prompt=point.prompt or config.prompt,
            rig=point.rig or config.rig,
            seed=config.seed if point.seed is None else point.seed,
            sweep=NO_SWEEP,
        )
        for point in config.sweep.points()
    ]


def plan_scene(
    layout: Layout, *, reference: str, rig: CameraRig, config: GenerateConfig, backbone: VideoBackbone
) -> PlannedScene:
    """Name a scene after everything that decides its bytes, and nothing else."""
    from scenegen.layout.sources import is_in_code

    if config.split == AUTO_SPLIT:
        config = replace(config, split=split_of_layout(layout.layout_id, config.split_shares))
    occupancy = open_occupancy(config.occupancy)
    provenance = Provenance(
        code_version=scenegen.__version__,
        config_sha256=config.content_sha256(),
        model_id=backbone.model_id,
        weights_sha256=backbone.weights_sha256,
        model_licence=backbone.licence,
        source_licence=layout.licence,
        occupancy_id="rules" if occupancy is None else occupancy.model_id,
        occupancy_sha256="" if occupancy is None else occupancy.weights_sha256,
        sampling=backbone.sampling,
    )
    sha256 = layout_sha256(layout)
    decisive: tuple[object, ...] = (sha256, config.seed, config.split, provenance)
    if provenance.sampling is not None:
        decisive = (*decisive, provenance.sampling)
        if provenance.sampling.precision != FULL_PRECISION:
            decisive = (*decisive, provenance.sampling.precision)
        if provenance.sampling.temperature is not None:
            decisive = (*decisive, f"temperature {provenance.sampling.temperature!r}")
    if occupancy is not None:
        decisive = (*decisive, provenance.occupancy_id, provenance.occupancy_sha256)
    if config.quality.is_asked:
        decisive = (*decisive, _judge_sha256())
    return PlannedScene(
        scene_id=f"{layout.layout_id}-{hashlib.sha256(repr(decisive).encode()).hexdigest()[:8]}",
        reference=reference,
        prompt=config.prompt,
        layout_id=layout.layout_id,
        layout_sha256=sha256,
        num_steps=layout.timeline.num_steps,
        carried=None if is_in_code(reference) else layout,
        rig=rig,
        seed=config.seed,
        split=config.split,
        provenance=provenance,
    )


def _judge_sha256() -> str:
    from scenegen.certification import judge_sha256, open_judging

    open_judging()  # finds missing weights before any work
    return judge_sha256()
