"""`video=native`: the learned flow model, sampled from noise, rolled out step by step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import UInt8
from torch import Tensor

from scenegen.diffusion.attention import RecentTokens
from scenegen.diffusion.flow import noise_levels, sample_euler
from scenegen.diffusion.memory import channels_last
from scenegen.diffusion.rwkv7 import Rwkv7State
from scenegen.diffusion.tensor_file import write_tensors
from scenegen.errors import ConfigError, WeightsError
from scenegen.types import STATIC_INSTANCE_OFFSET, ConditionMaps, random_key
from scenegen.video.cross_view import find_partners
from scenegen.video.history import HISTORY_KEEP, CarriedFrame, carry_forward, contract_history, no_history
from scenegen.video.interface import SceneContext
from scenegen.video.network import SIZES, NetworkSize, TemporalState, VideoNetwork
from scenegen.video.noise import anchored_noise
from scenegen.video.planes import build_planes, join_appearance, style_vector, surface_maps
from scenegen.video.tensor_state import arrays_of_tensor, tensor_of_arrays
from scenegen.video.traits import trait_salt

MAX_STEPS = 50
TEMPERATURE = 0.6
"""Noise is multiplied by this: less chance than was learned, so less texture and less flicker (`docs/quality.md`)."""


class NativeBackbone:
    """The native network with its weights; opens one session per scene.

    Args:
        network: weights loaded, evaluation mode.
        steps: sampling steps per frame.
        weights_sha256: hash of the weight file.
        use_history: carry the previous frame forward; False paints every step from conditions alone.
        temperature: what all noise is multiplied by, 0..1.
    """

    licence = "Apache-2.0"

    def __init__(
        self,
        network: VideoNetwork,
        *,
        size_name: str,
        steps: int,
        weights_sha256: str,
        use_history: bool = True,
        temperature: float = TEMPERATURE,
    ) -> None:
        if not 1 <= steps <= MAX_STEPS:
            raise ConfigError(f"video.steps between 1 and {MAX_STEPS}", found=f"{steps}", where="video.steps")
        self.network = network
        self.steps = steps
        self.weights_sha256 = weights_sha256
        self.use_history = use_history
        self.temperature = temperature
        self.model_id = f"native-{size_name}"

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
            num_channels=3 * (1 + backbone.steps),
        ).contiguous(memory_format=torch.channels_last)
        noise = noise * backbone.temperature
        network = backbone.network
        encoded = network.encode(planes, self._style.expand(len(planes), -1))
        carried_rgb = torch.cat([carried.rgb, carried.valid], dim=1)
        seen = contract_history(carried_rgb, encoded.base, keep=HISTORY_KEEP).contiguous(
            memory_format=torch.channels_last
        )
        poses = torch.from_numpy(conditions.world_from_cam[:, step])
        partners = find_partners(maps.point_world_m, maps.depth_m, maps.ray_world, poses)
        memory = self._memory if backbone.use_history else None

        def predict(noisy: Tensor, t: Tensor, k: int) -> Tensor:
            clean, self._memory = network(
                noisy,
                t,
                conditions=encoded,
                carried=seen,
                noise=noise[:, 3 + 3 * k : 6 + 3 * k],
                partners=partners,
                memory=memory,
            )
            return clean

        rgb = sample_euler(predict, noise[:, :3], levels=noise_levels(backbone.steps)).clamp(-1.0, 1.0)
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
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError("a weight file", found="nothing", where=str(path), fix="train one or reinstall scenegen")
    try:
        with safe_open(str(path), framework="pt") as file:
            notes = file.metadata() or {}
            state = {name: file.get_tensor(name).float() for name in file.keys()}  # noqa: SIM118
        network = VideoNetwork(NetworkSize(**json.loads(notes.get("size", "null"))))
        network.load_state_dict(state)
    except SafetensorError as error:
        raise _no_weights(path, f"a damaged file ({error})") from error
    except (TypeError, ValueError) as error:
        raise _no_weights(path, "a file that does not name its size of network") from error
    except RuntimeError as error:
        raise _no_weights(path, f"weights of another network: {' '.join(str(error).split())[:160]}") from error
    for name, value in state.items():
        if not bool(value.isfinite().all()):
            raise WeightsError("finite weights", found=f"NaN or infinity in {name}", where=str(path))
    network.eval().requires_grad_(False)
    return channels_last(network), hashlib.sha256(path.read_bytes()).hexdigest()


def _no_weights(path: Path, found: str) -> WeightsError:
    fix = "train them with `scenegen train recipe=video`, with this version of scenegen"
    return WeightsError("weights of the native network", found=found, where=str(path), fix=fix)


def load_native(*, weights: Path, steps: int, use_history: bool = True) -> NativeBackbone:
    """Load the native backbone from a safetensors file."""
    network, sha256 = load_network(weights)
    size_name = next((name for name, size in SIZES.items() if size == network.size), "custom")
    return NativeBackbone(network, size_name=size_name, steps=steps, weights_sha256=sha256, use_history=use_history)
