"""`video=native`: the learned flow model, sampled from noise, rolled out step by step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from scenegen.diffusion.attention import RecentTokens
from scenegen.diffusion.memory import channels_last
from scenegen.diffusion.rwkv7 import Rwkv7State
from scenegen.diffusion.sampler import Sampler
from scenegen.diffusion.tensor_file import write_tensors
from scenegen.diffusion.weight_file import WeightFile, read_weights
from scenegen.errors import ConfigError, WeightsError
from scenegen.types import STATIC_INSTANCE_OFFSET, ConditionMaps, Sampling, random_key
from scenegen.types.record import FULL_PRECISION, HALF_PRECISION
from scenegen.video.cross_view import find_partners
from scenegen.video.history import HISTORY_KEEP, CarriedFrame, carry_forward, contract_history, no_history
from scenegen.video.interface import SceneContext
from scenegen.video.network import SIZES, NetworkSize, TemporalState, VideoNetwork
from scenegen.video.noise import anchored_noise
from scenegen.video.planes import build_planes, join_appearance, style_vector, surface_maps
from scenegen.video.tensor_state import arrays_of_tensor, tensor_of_arrays
from scenegen.video.traits import trait_salt

MAX_STEPS = 50
TEACHER, STUDENT = "teacher", "student"
TEACHER_STEPS = 2
"""Euler steps that the teacher's own recipe rolls out in, and that are taken where nobody asks for others."""
HOW_TO_TRAIN = "train them with `scenegen train recipe=video`, with this version of scenegen"
TEMPERATURE = 0.6
"""Noise is multiplied by this: less chance than was learned, so less texture and less flicker (`docs/quality.md`)."""


class NativeBackbone:
    """The native network with its weights; opens one session per scene.

    Args:
        network: weights loaded, evaluation mode.
        sampler: how every frame is sampled.
        weights_sha256: hash of the weight file.
        role: `teacher`, or `student` of one, distilled to few steps.
        use_history: carry the previous frame forward; False paints every step from conditions alone.
        temperature: what all noise is multiplied by, 0..1; None for TEMPERATURE.
        precision: `fp32`, or `bf16`: products in bfloat16, sums and norms in single precision (autocast).
    """

    licence = "Apache-2.0"

    def __init__(
        self,
        network: VideoNetwork,
        *,
        size_name: str,
        sampler: Sampler,
        weights_sha256: str,
        role: str = TEACHER,
        use_history: bool = True,
        temperature: float | None = None,
        precision: str = FULL_PRECISION,
    ) -> None:
        if not 1 <= sampler.steps <= MAX_STEPS:
            raise ConfigError(f"video.steps between 1 and {MAX_STEPS}", found=f"{sampler.steps}", where="video.steps")
        self.network = network
        self.sampler = sampler
        self.role = role
        self.weights_sha256 = weights_sha256
        self.use_history = use_history
        self.temperature = TEMPERATURE if temperature is None else temperature
        self.precision = precision
        self.model_id = f"native-{size_name}"

    @property
    def sampling(self) -> Sampling:
        """What is stored of how frames are sampled."""
        eta = self.sampler.eta if self.sampler.name == "cps" else None
        sampler = self.sampler
        return Sampling(
            model=self.role,
            sampler=sampler.name,
            steps=sampler.steps,
            eta=eta,
            precision=self.precision,
            temperature=None if self.temperature == TEMPERATURE else self.temperature,
        )

    def products(self) -> torch.autocast:
        """Return the context in which the network multiplies."""
        return torch.autocast("cpu", torch.bfloat16, enabled=self.precision == HALF_PRECISION)

    def open_session(self, scene: SceneContext) -> NativeSession:
        """Start a scene without history."""
        return NativeSession(self, scene)


class NativeSession:
    """Paints one scene; remembers the last frame, what it showed, and the network's bounded memory."""

    def __init__(self, backbone: NativeBackbone, scene: SceneContext) -> None:
        self._backbone = backbone
        self._scene = scene
        self._num_agents = len(scene.agents.primary_rgb)
        self._appearance = torch.from_numpy(
            join_appearance(scene.agents, scene.statics, salt=trait_salt(scene.seed, scene.scene_id))
        )
        self._style = torch.from_numpy(style_vector(scene.lighting))
        self._noise_key = random_key(scene.seed, scene.scene_id, "video", scene.attempt) % (1 << 31)
        self._previous: tuple[Tensor, Tensor] | None = None
        self._memory: TemporalState | None = None

    def paint(self, conditions: ConditionMaps, *, start_step: int) -> UInt8[np.ndarray, "V T H W 3"]:
        """Paint the steps of a chunk, in order, each from noise and the carried previous frame."""
        views, steps, height, width = conditions.material.shape
        frames = np.empty((views, steps, height, width, 3), np.uint8)
        for step in range(steps):
            rgb = self._paint_step(conditions, step)
            frames[:, step] = to_uint8(rgb)
        return frames

    def state(self) -> dict[str, np.ndarray[Any, Any]]:
        """Return the last frame, what it showed, and the network's memory."""
        state: dict[str, np.ndarray[Any, Any]] = {}
        if self._previous is not None:
            rgb, code = self._previous
            state |= arrays_of_tensor("previous_rgb", rgb) | arrays_of_tensor("previous_code", code)
        if self._memory is not None:
            for item in fields(self._memory):
                value = getattr(self._memory, item.name)
                state |= arrays_of_tensor(f"memory.{item.name}", torch.as_tensor(value))
        return state

    def restore(self, state: Mapping[str, np.ndarray[Any, Any]]) -> None:
        """Take up what another session remembered."""
        if "previous_rgb" in state:
            self._previous = (tensor_of_arrays("previous_rgb", state), tensor_of_arrays("previous_code", state))
        if "memory.count" in state:
            count = int(tensor_of_arrays("memory.count", state))
            self._memory = RecentTokens(tokens=tensor_of_arrays("memory.tokens", state), count=count)
        elif "memory.memory" in state:
            self._memory = Rwkv7State(
                memory=tensor_of_arrays("memory.memory", state), last=tensor_of_arrays("memory.last", state)
            )

    @torch.no_grad()
    def _paint_step(self, conditions: ConditionMaps, step: int) -> Tensor:
        backbone = self._backbone
        maps = surface_maps(
            conditions,
            step=step,
            appearance=self._appearance,
            num_agents=self._num_agents,
            lighting=self._scene.lighting,
        )
        code = maps.row * 32 + maps.material
        carried = self._carry(conditions, step, code)
        planes = build_planes(maps).contiguous(memory_format=torch.channels_last)
        noise = anchored_noise(
            maps,
            seed=self._noise_key,
            focal_px=torch.from_numpy(conditions.focal_px).float(),
            is_agent=(maps.instance > 0) & (maps.instance < STATIC_INSTANCE_OFFSET),
            num_channels=backbone.sampler.num_noise,
        ).contiguous(memory_format=torch.channels_last)
        noise = noise * backbone.temperature
        network = backbone.network
        with backbone.products():
            encoded = network.encode(planes, self._style.expand(len(planes), -1))
        carried_rgb = torch.cat([carried.rgb, carried.valid], dim=1)
        seen = contract_history(carried_rgb, encoded.base, keep=HISTORY_KEEP).contiguous(
            memory_format=torch.channels_last
        )
        poses = torch.from_numpy(conditions.world_from_cam[:, step])
        partners = find_partners(maps.point_world_m, maps.depth_m, maps.ray_world, poses)
        memory = self._memory if backbone.use_history else None

        def predict(noisy: Tensor, t: Tensor, k: int) -> Tensor:
            with backbone.products():
                clean, self._memory = network(
                    noisy,
                    t,
                    conditions=encoded,
                    carried=seen,
                    noise=backbone.sampler.fresh_noise(noise, k),
                    partners=partners,
                    memory=memory,
                )
            return clean.float()

        rgb = backbone.sampler.sample(predict, noise).clamp(-1.0, 1.0)
        self._previous = (rgb, code)
        return rgb

    def _carry(self, conditions: ConditionMaps, step: int, code: Tensor) -> CarriedFrame:
        if self._previous is None or not self._backbone.use_history:
            return no_history(len(code), height=code.shape[1], width=code.shape[2])
        previous_rgb, previous_code = self._previous
        motion = torch.from_numpy(conditions.motion_px[:, step])
        return carry_forward(previous_rgb, motion_px=motion, code=code, previous_code=previous_code)


def to_uint8(rgb: Tensor) -> UInt8[np.ndarray, "V H W 3"]:
    """Turn -1..1 channel-first frames into sRGB bytes."""
    scaled = ((rgb.permute(0, 2, 3, 1) + 1.0) * 127.5).round()
    return scaled.clamp(0, 255).to(torch.uint8).contiguous().numpy()


def save_network(network: VideoNetwork, path: Path, *, notes: dict[str, str]) -> None:
    """Write weights as half-precision safetensors with the network's size in the header."""
    tensors = {name: value.detach().half() for name, value in network.state_dict().items()}
    write_tensors(path, tensors, metadata={"size": json.dumps(asdict(network.size)), **notes})


def load_network(path: Path) -> tuple[VideoNetwork, str]:
    """Read weights; returns the network and the sha256 of the file.

    Raises:
        WeightsError: the file is missing, damaged, or does not fit the network.
    """
    network, file = _read_network(path)
    return network, file.sha256


def load_native(
    *,
    weights: Path,
    role: str = TEACHER,
    sampler: str | None = None,
    steps: int | None = None,
    eta: float | None = None,
    precision: str = FULL_PRECISION,
    temperature: float | None = None,
    use_history: bool = True,
) -> NativeBackbone:
    """Load the native backbone from a safetensors file.

    Args:
        weights: the file.
        role: `teacher` or `student`, as the file must say of itself.
        sampler: `euler` or `cps`; None for what the weights are for, as in the two below.
        steps: sampling steps per frame.
        eta: share of new noise in each step of `cps`.
        precision: `fp32` or `bf16`.
        temperature: what all noise is multiplied by, 0..1; None for TEMPERATURE.
        use_history: carry the previous frame forward.

    Raises:
        WeightsError: the file is missing, damaged, of another network, or of the other role.
        ConfigError: steps or eta out of range.
    """
    network, file = _read_network(weights)
    own = trained_sampler(file)
    if (own is not None) != (role == STUDENT):
        found = "weights of a teacher" if own is None else f"those of a student, for {own.steps} {own.name} steps"
        fix = f"say video.model={TEACHER if own is None else STUDENT}, or name another file in video.weights"
        raise WeightsError(f"weights of a {role}", found=found, where=str(weights), fix=fix)
    chosen = own or Sampler(name="euler", steps=TEACHER_STEPS)
    asked: dict[str, Any] = {"name": sampler, "steps": steps, "eta": eta}
    size_name = next((name for name, size in SIZES.items() if size == network.size), "custom")
    return NativeBackbone(
        network,
        size_name=size_name,
        sampler=replace(chosen, **{key: value for key, value in asked.items() if value is not None}),
        role=role,
        weights_sha256=file.sha256,
        precision=precision,
        temperature=temperature,
        use_history=use_history,
    )


def sampler_notes(sampler: Sampler) -> dict[str, str]:
    """Return what the header of a student's weights says beside the size: the sampler they were distilled for."""
    return {"sampler": json.dumps(asdict(sampler))}


def trained_sampler(file: WeightFile) -> Sampler | None:
    """Return the sampler that a student's weights were distilled for; None where the header names none.

    Raises:
        WeightsError: the header names one, but not rightly.
    """
    if "sampler" not in file.notes:
        return None
    fact = file.fact("sampler")
    if not isinstance(fact, dict) or fact.get("name") not in ("euler", "cps"):
        raise file.refuse(f"a header with the sampler {fact!r}")
    try:
        return Sampler(name=fact["name"], steps=int(fact["steps"]), eta=float(fact["eta"]))
    except (KeyError, TypeError, ValueError) as error:
        raise file.refuse(f"a header with the sampler {fact!r}") from error


def _read_network(path: Path) -> tuple[VideoNetwork, WeightFile]:
    file = read_weights(path, what="weights of the native network", fix=HOW_TO_TRAIN)
    try:
        network = VideoNetwork(NetworkSize(**file.fact("size")))
    except TypeError as error:
        raise file.refuse("a file that does not name its size of network") from error
    file.fill(network)
    network.eval().requires_grad_(False)
    return channels_last(network), file
