"""What one layer of each mixer costs against the number of tokens.

    python -m benchmarks.mixers [--quick] [--json FILE]

One sequence of cells, 64 to a row, 128 channels, float32. Seconds are processor time of one thread, which a busy
machine changes little, or wall time on a GPU (`--device cuda`, with fla's kernels where installed); the fastest round
counts.

- `tokens`: cells. `triplet_rwkv7` reads three copies of each, as in training;
- `forward`: seconds without gradients;
- `training`: seconds forwards and backwards (not with `--quick`, and up to 16,384 tokens: more take gigabytes);
- `gflop`: of the forward pass, by the mixer's own formula;
- `extrapolated`: attention over more than 8,192 tokens is timed for 1,024 queries against all keys, times the number
  of such slices, plus its linear maps over all tokens.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from scenegen.diffusion.mixers import MIXERS, NUM_COPIES, TokenPlace, build_mixer
from scenegen.diffusion.mixers.attention import GridAttention

WIDTH = 128
COLUMNS = 64
BLOCK_ROWS = 2
LENGTHS = (2048, 4096, 8192, 16384, 32768, 65536)
QUICK_LENGTHS = (2048, 8192, 65536)
WHOLE_ATTENTION = 8192
MOST_TRAINED = 16384
SLICE = 1024
ROUNDS, QUICK_ROUNDS = 3, 2


@dataclass(frozen=True, kw_only=True)
class Cost:
    """One line of the report."""

    mixer: str
    tokens: int
    forward_s: float
    training_s: float | None
    gflop: float
    extrapolated: bool


def measure_costs(
    lengths: Sequence[int], *, rounds: int, with_training: bool, device: torch.device, whole: int = WHOLE_ATTENTION
) -> list[Cost]:
    """Time every mixer at every length; attention over more than `whole` tokens by a slice."""
    costs = []
    for length in lengths:
        is_trained = with_training and length <= MOST_TRAINED
        runs = {name: build_run(name, length, device=device, is_whole=length <= whole) for name in MIXERS}
        forward_s, training_s = dict.fromkeys(MIXERS, float("inf")), dict.fromkeys(MIXERS, float("inf"))
        for _ in range(rounds):
            for name, run in runs.items():
                with torch.no_grad():
                    forward_s[name] = min(forward_s[name], run(lambda out: None))
                if is_trained:
                    training_s[name] = min(training_s[name], run(lambda out: out.sum().backward()))
        costs += [
            Cost(
                mixer=name,
                tokens=length,
                forward_s=forward_s[name],
                training_s=training_s[name] if is_trained else None,
                gflop=build_mixer(name, WIDTH, index=0, block_rows=BLOCK_ROWS).flops(place_of(name, length)) / 1e9,
                extrapolated=name == "attention" and length > whole,
            )
            for name in MIXERS
        ]
    return costs


Finish = Callable[[Tensor], None]


def build_run(name: str, length: int, *, device: torch.device, is_whole: bool) -> Callable[[Finish], float]:
    """Return a function that runs a mixer over `length` tokens and says how many seconds that takes."""
    torch.manual_seed(0)
    mixer = build_mixer(name, WIDTH, index=0, block_rows=BLOCK_ROWS).to(device)
    place = place_of(name, length)
    x = torch.randn(1, length * place.copies, WIDTH, device=device, requires_grad=True)

    def run_whole(finish: Finish) -> float:
        return seconds(lambda: finish(mixer(x, place)), device)

    def run_slice(finish: Finish) -> float:
        assert isinstance(mixer, GridAttention)
        linear_s = seconds(lambda: finish(project(mixer, x)), device)
        return linear_s + length / SLICE * seconds(lambda: finish(attend_slice(mixer, x)), device)

    return run_whole if is_whole or name != "attention" else run_slice


def project(mixer: GridAttention, x: Tensor) -> Tensor:
    """Run attention's linear maps alone."""
    return mixer.out(mixer.qkv(x)[..., :WIDTH])


def attend_slice(mixer: GridAttention, x: Tensor) -> Tensor:
    """Let the first `SLICE` tokens look at all; queries, keys and values are the tokens themselves."""
    heads = x.unflatten(2, (mixer.num_heads, mixer.head_size)).transpose(1, 2)
    return functional.scaled_dot_product_attention(heads[:, :, :SLICE], heads, heads)


def place_of(name: str, length: int) -> TokenPlace:
    """Return the grid of `length` cells, in three copies where the mixer reads triplets."""
    copies = NUM_COPIES if name == "triplet_rwkv7" else 1
    return TokenPlace(rows=length // COLUMNS, columns=COLUMNS, copies=copies)


def seconds(run: Callable[[], None], device: torch.device) -> float:
    """Return the processor time that a function takes, or the wall time with all that it started on a GPU."""
    if device.type == "cpu":
        start = time.process_time()
        run()
        return time.process_time() - start
    torch.cuda.synchronize(device)
    start = time.perf_counter()
    run()
    torch.cuda.synchronize(device)
    return time.perf_counter() - start


def cheaper_than_attention(costs: Sequence[Cost]) -> dict[str, float]:
    """Return by what factor each mixer is cheaper than attention, forwards, at the largest length."""
    last = {cost.mixer: cost.forward_s for cost in costs if cost.tokens == max(cost.tokens for cost in costs)}
    return {name: last["attention"] / time_s for name, time_s in last.items() if name != "attention"}


def print_table(costs: Sequence[Cost]) -> None:
    """Print the lines; ~ marks what was extrapolated."""
    print("| mixer | tokens | forward, s | training, s | GFLOP |\n|---|---|---|---|---|")
    for cost in sorted(costs, key=lambda cost: cost.mixer):
        about = "~" if cost.extrapolated else ""
        training = "" if cost.training_s is None else f"{about}{cost.training_s:.3f}"
        print(f"| `{cost.mixer}` | {cost.tokens} | {about}{cost.forward_s:.3f} | {training} | {cost.gflop:.2f} |")
    for name, factor in cheaper_than_attention(costs).items():
        print(f"{name}: {factor:.1f} times cheaper than attention at {max(cost.tokens for cost in costs)} tokens")


def main() -> None:
    """Print a table or write JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="three lengths, two rounds, forwards only: within a minute"
    )
    parser.add_argument("--json", metavar="FILE", help="write the figures; - is standard output")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    options = parser.parse_args()
    torch.set_num_threads(1)
    costs = measure_costs(
        QUICK_LENGTHS if options.quick else LENGTHS,
        rounds=QUICK_ROUNDS if options.quick else ROUNDS,
        with_training=not options.quick,
        device=options.device,
    )
    figures = {"costs": [asdict(cost) for cost in costs], "cheaper_than_attention": cheaper_than_attention(costs)}
    document = json.dumps(figures, indent=2)
    if options.json == "-":
        print(document)
        return
    print_table(costs)
    if options.json:
        Path(options.json).write_text(document + "\n")


if __name__ == "__main__":
    main()
