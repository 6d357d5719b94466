"""The network behind the rewards of `recipe=rtdmd`: classes of pixels and centres of agents, from pixels alone.

Not the judge of `scenegen eval`, so that what a student learns to please is not what scores it: no U-Net but a stack of
dilated convolutions at half resolution, a tenth of the judge's weights, no calibration as input, another seed, and only
every second scene to learn from. Its weights are an artefact of training and are not shipped.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from scenegen.checks.classes import AGENT_KINDS, JudgeClass
from scenegen.diffusion.memory import channels_last
from scenegen.diffusion.tensor_file import write_tensors
from scenegen.diffusion.weight_file import read_weights

CELL_PX = 2
"""Pixels per cell of the maps of agents' centres."""
WIDTH = 48
DILATIONS = (1, 2, 4, 8, 4, 2, 1)
RARE = -2.19
"""Agents are rare: heat starts at a score of 0.1 (CenterNet, arXiv 1904.07850, section 5)."""


@dataclass(frozen=True, kw_only=True)
class RewardMaps:
    """What the network says of B pictures.

    Attributes:
        scores: of every `JudgeClass`, before the softmax.
        heat: of every kind of `AGENT_KINDS` at a cell of CELL_PX pixels, before the sigmoid.
    """

    scores: Float[Tensor, "B K H W"]
    heat: Float[Tensor, "B A H2 W2"]


class RewardNetwork(nn.Module):
    """Residual 3x3 convolutions of growing and shrinking dilation on 2x2 patches. Height and width must be even."""

    def __init__(self) -> None:
        super().__init__()
        self.enter = nn.Conv2d(3 * CELL_PX**2, WIDTH, 3, padding=1)
        self.norms = nn.ModuleList(nn.GroupNorm(WIDTH // 8, WIDTH) for _ in DILATIONS)
        self.layers = nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 3, padding=d, dilation=d) for d in DILATIONS)
        self.classes = nn.Conv2d(WIDTH, len(JudgeClass) * CELL_PX**2, 1)
        self.centers = nn.Conv2d(WIDTH, len(AGENT_KINDS), 1)
        assert self.centers.bias is not None
        nn.init.constant_(self.centers.bias, RARE)

    def forward(self, rgb: Float[Tensor, "B 3 H W"]) -> RewardMaps:
        """Read pictures in -1..1."""
        hidden = self.enter(functional.pixel_unshuffle(rgb, CELL_PX))
        for norm, layer in zip(self.norms, self.layers, strict=True):
            hidden = hidden + layer(functional.silu(norm(hidden)))
        hidden = functional.silu(hidden)
        return RewardMaps(
            scores=functional.pixel_shuffle(self.classes(hidden), CELL_PX).float(), heat=self.centers(hidden).float()
        )


def save_reward_network(network: RewardNetwork, path: Path, *, notes: dict[str, str]) -> None:
    """Write weights as half-precision safetensors."""
    tensors = {name: value.detach().half() for name, value in network.state_dict().items()}
    write_tensors(path, tensors, metadata={"what": "rewards", **notes})


def load_reward_network(path: Path) -> RewardNetwork:
    """Read frozen weights.

    Raises:
        WeightsError: the file is missing, damaged, or of another network.
    """
    file = read_weights(
        path, what="weights of the reward network", fix="make them with `scenegen train recipe=reward` on the same data"
    )
    network = RewardNetwork()
    file.fill(network)
    network.eval().requires_grad_(False)
    return channels_last(network)
