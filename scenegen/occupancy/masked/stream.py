"""A world that grows block by block: the masked network with `triplet_rwkv7`, whose memory does not grow with it."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from scenegen.diffusion.mixers import StreamMemory, TokenPlace
from scenegen.occupancy.masked.codes import CODES_PER_CELL
from scenegen.occupancy.masked.network import BlockContext, MaskedNetwork


class NetworkStream:
    """Draws blocks one after the other: any number of `predict` for a block, then one `absorb` of its clean codes.

    Computes what `MaskedNetwork.forward` does with the blocks before as `clean`. A block is `block_rows` rows of cells;
    all blocks are equally wide. Loops are the same for all blocks, as every loop remembers by itself.

    Args:
        network: with mixer `triplet_rwkv7`.
        style: what holds for the whole world.
        loops: how often the middle runs.

    Raises:
        ValueError: the network has another mixer, which cannot be streamed.
    """

    def __init__(self, network: MaskedNetwork, style: Float[Tensor, "B S"], *, loops: int) -> None:
        if network.size.mixer != "triplet_rwkv7":
            raise ValueError(f"only triplet_rwkv7 reads block by block, got {network.size.mixer}")
        self._network, self._style, self._loops = network, style, loops
        self._memory = StreamMemory()

    def predict(
        self, codes: Int[Tensor, "B H W"], channels: Float[Tensor, "B C X Y"], t: Float[Tensor, " B"]
    ) -> Float[Tensor, "B H W V"]:
        """Return the logits of the next block's codes. The stream stays where it is."""
        tokens = self._network.read_cells(codes, channels)
        num_tokens = tokens.shape[1]
        tokens = self._run(torch.cat([tokens, tokens], dim=1), t, codes, copies=2)
        rows, columns = codes.shape[1] // CODES_PER_CELL, codes.shape[2] // CODES_PER_CELL
        return self._network.predict_codes(tokens[:, num_tokens:], rows=rows, columns=columns)

    def absorb(self, codes: Int[Tensor, "B H W"], channels: Float[Tensor, "B C X Y"]) -> None:
        """Remember a block with all its codes known, and move on to the next."""
        t = torch.zeros(len(codes), dtype=self._style.dtype, device=codes.device)
        self._run(self._network.read_cells(codes, channels), t, codes, copies=1)
        self._memory.end_clean_pass()

    def _run(
        self, tokens: Float[Tensor, "B T C"], t: Float[Tensor, " B"], codes: Int[Tensor, "B H W"], *, copies: int
    ) -> Float[Tensor, "B T C"]:
        rows, columns = codes.shape[1] // CODES_PER_CELL, codes.shape[2] // CODES_PER_CELL
        self._memory.begin_pass()
        context = BlockContext(
            embedding=self._network.embed(self._style, t)[:, None],
            kind=None,
            place=TokenPlace(rows=rows, columns=columns, copies=copies, memory=self._memory),
        )
        return self._network.stack(tokens, context, loops=self._loops)


def open_stream(network: MaskedNetwork, style: Float[Tensor, "B S"], *, loops: int = 1) -> NetworkStream:
    """Return a stream that has read nothing yet."""
    return NetworkStream(network, style, loops=loops)
