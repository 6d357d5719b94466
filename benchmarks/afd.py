"""Does adversarial flow distillation bring a student nearer to its teacher than plain fine-tuning does?

    python -m benchmarks.afd_clips --layouts procedural:1401-1448 --output out/afd/train
    python -m benchmarks.afd_clips --layouts procedural:1301-1330 --output out/afd/held_out
    scenegen train recipe=video size=nano data=out/afd/train/plain output=out/afd/student recipe.steps=360 \
        run.num_threads=1 precision=bf16
    python -m benchmarks.afd --folder out/afd --json afd.json --picture afd.png

The student is a nano network trained on preview frames. The teacher is a data set whose stored frames have another look
(`afd_clips.film_look`); the student gets its clips and their layouts, nothing else. Every arm starts from the same
student, takes the same number of optimiser steps at the same rate, and draws as many clips in each. Measured under
held-out layouts (`afd_scores.Nearness`), over seeds:

- `afd, cell`, `afd, clip`: `recipe=afd` with weights per 8 x 8 pixels, and with one weight per rollout as published;
- `fine-tuning`: the energy score on the teacher's clips, with the teacher's own frames as history;
- `rate ...`: `afd, cell` with other learning rates of the discriminator;
- `stale`: `afd, cell` whose discriminator learns for the first STALE_AFTER steps only;
- `fine-tuning, then ...`: both, again, from the student that fine-tuning made.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.afd_scores import HeldOut, Nearness, read_held_out, score_student, teacher_floor
from scenegen.cli.compose import compose_config
from scenegen.config import TrainConfig
from scenegen.training.afd import AVERAGE_DECAY, WEIGHTS_NAME, follow, settings_of, train_afd
from scenegen.training.afd_discriminator import as_bytes
from scenegen.training.afd_teacher import StoredTeacher
from scenegen.training.afd_update import roll_out
from scenegen.training.video import draw_loss
from scenegen.training.window_cache import open_window_cache
from scenegen.training.windows import half_width, read_windows
from scenegen.types import random_generator, random_key
from scenegen.video.backbones.native import load_network, save_network
from scenegen.video.history import HISTORY_KEEP

STEPS = 80
RATE = 1e-3
RATES = (0.0, 1e-4, 1e-3, 1e-2)
"""Of the discriminator; the third is the recipe's."""
STALE_AFTER = 30
LOG_KEYS = ("pair_accuracy", "mean_weight", "score_spread", "score_gap")


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way to train.

    Attributes:
        method: `afd` or `fine-tuning`.
        overrides: of the recipe.
        start: the arm it starts from.
        stale_after: steps after which the discriminator learns no more; None where it learns to the end.
    """

    name: str
    method: str
    overrides: tuple[str, ...] = ()
    start: str | None = None
    stale_after: int | None = None


ARMS = (
    Arm(name="afd, cell", method="afd"),
    Arm(name="afd, clip", method="afd", overrides=("recipe.afd.credit=clip",)),
    Arm(name="fine-tuning", method="fine-tuning"),
    *(
        Arm(name=f"rate {rate:g}", method="afd", overrides=(f"recipe.afd.discriminator_learning_rate={rate}",))
        for rate in RATES
        if rate != 1e-3
    ),
    Arm(name="stale", method="afd", stale_after=STALE_AFTER),
    Arm(name="fine-tuning, then afd", method="afd", start="fine-tuning"),
    Arm(name="fine-tuning, then more", method="fine-tuning", start="fine-tuning"),
)


def make_config(arm: Arm, folder: Path, *, seed: int, steps: int) -> TrainConfig:
    """Configure an arm's run."""
    place = folder / "runs" / f"{arm.name.replace(', ', '-').replace(' ', '-')}-{seed}"
    start = folder / "student" / WEIGHTS_NAME
    if arm.start is not None:
        start = folder / "runs" / f"{arm.start}-{seed}" / WEIGHTS_NAME
    overrides = [
        "recipe=afd",
        f"data={folder / 'train' / 'film'}",
        f"windows={folder / 'windows'}",
        f"output={place}",
        f"recipe.afd.student={start}",
        f"recipe.steps={steps}",
        f"recipe.learning_rate={RATE}",
        "recipe.batch_size=1",
        "recipe.afd.rollout_steps=3",
        "recipe.save_every_steps=25",
        f"seed={seed + (0 if arm.start is None else 100)}",
        "device=cpu",
        "precision=fp32",
        "progress=plain",
        "run.num_threads=1",
        *arm.overrides,
    ]
    return compose_config(TrainConfig, "train", overrides)


def fine_tune(config: TrainConfig) -> Path:
    """Train on the teacher's clips as `recipe=video` trains: two draws of each frame, scored against the teacher's.

    Twice the clips of a step of AFD with four rollouts, so as many draws.
    """
    settings, folder = settings_of(config), Path(config.output)
    folder.mkdir(parents=True, exist_ok=True)
    weights = folder / WEIGHTS_NAME
    if weights.is_file():
        return weights
    cache = open_window_cache(Path(config.data), Path(config.windows))
    teacher = StoredTeacher(cache)
    network, average = (load_network(Path(settings.student or ""))[0] for _ in range(2))
    network.requires_grad_(True)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.recipe.learning_rate, betas=(0.9, 0.99), weight_decay=1e-4
    )
    num_clips = config.recipe.batch_size * settings.rollouts // 2
    for step in range(config.recipe.steps):
        generator = random_generator(config.seed, "fine-tuning", stage="clips", chunk=step)
        torch.manual_seed(random_key(config.seed, "fine-tuning", step) % (1 << 63))
        places = teacher.draw_places(generator, num_clips=num_clips, num_steps=settings.rollout_steps)
        noise_seed = int(generator.integers(1 << 31))
        windows = read_windows(cache, list(places.picks), crop_width=half_width(cache), noise_seed=noise_seed)
        with torch.autocast("cpu", torch.bfloat16, enabled=config.precision == "bf16"):
            loss, _ = draw_loss(
                network, windows, windows.carried, num_steps=settings.rollout_steps, keep_range=(HISTORY_KEEP,) * 2
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        follow(average, network, decay=min(AVERAGE_DECAY, (1.0 + step) / (10.0 + step)))
    save_network(average, weights, notes={"recipe": "fine-tuning"})
    return weights


def train(arm: Arm, config: TrainConfig) -> Path:
    """Train an arm, or go on with it; returns its weights."""
    if arm.method == "fine-tuning":
        return fine_tune(config)
    if arm.stale_after is not None:
        train_afd(replace(config, recipe=replace(config.recipe, steps=arm.stale_after)))
        frozen = replace(settings_of(config), discriminator_learning_rate=0.0)
        config = replace(config, recipe=replace(config.recipe, afd=frozen))
    return train_afd(config)


def read_log(folder: Path) -> dict[str, float]:
    """Return what the discriminator said, over the last records of a run."""
    path = folder / "log.jsonl"
    if not path.is_file():
        return {}
    records = [json.loads(line) for line in path.read_text().splitlines()]
    return {key: records[-1][key] for key in LOG_KEYS if key in records[-1]}


def draw_strip(students: dict[str, Path], held_out: HeldOut, config: TrainConfig, path: Path) -> None:
    """Write a picture: a row for each of a few scenes, the teacher's frame and then each student's."""
    settings = settings_of(config)
    size = 2 * held_out.num_steps
    chosen = [scene * size + held_out.num_steps - 1 for scene in range(0, held_out.num_clips, 6)]
    columns = [held_out.teacher]
    for weights in students.values():
        network, _ = load_network(weights)
        columns.append(as_bytes(roll_out(network, held_out.clips, settings=replace(settings, rollouts=2)).frames[0]))
    rows = [np.concatenate([column[n].permute(1, 2, 0).numpy() for column in columns], axis=1) for n in chosen]
    picture = Image.fromarray(np.concatenate(rows))
    picture.resize((picture.width * 3, picture.height * 3), Image.Resampling.NEAREST).save(path)


def format_table(rows: list[dict[str, object]]) -> str:
    """Return the means over seeds, a line for each arm."""
    figures = list(Nearness.__dataclass_fields__)
    lines = ["| arm | seeds | " + " | ".join(figures) + " |", "|---" * (2 + len(figures)) + "|"]
    names = list(dict.fromkeys(str(row["arm"]) for row in rows))
    for name in names:
        own = [row["nearness"] for row in rows if row["arm"] == name]
        cells = []
        for figure in figures:
            values = [one[figure] for one in own]  # type: ignore[index]
            spread = f" ({min(values):.3g} to {max(values):.3g})" if len(values) > 1 else ""
            cells.append(f"{np.mean(values):.3g}{spread}")
        lines.append(f"| {name} | {len(own)} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Train what is missing, measure, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True, help="holds train, held_out and student")
    parser.add_argument("--arms", nargs="+", choices=[arm.name for arm in ARMS], default=[arm.name for arm in ARMS])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--picture", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    folder: Path = arguments.folder
    config = make_config(ARMS[0], folder, seed=0, steps=arguments.steps)
    settings = settings_of(config)
    held_out = read_held_out(
        open_window_cache(folder / "held_out" / "film", folder / "held_out_windows"), settings=settings
    )
    first = folder / "student" / WEIGHTS_NAME
    students, rows = {"before": first}, []
    rows.append(
        {"arm": "before", "nearness": asdict(score_student(load_network(first)[0], held_out, settings=settings))}
    )
    print(json.dumps(rows[-1]), flush=True)
    for seed in arguments.seeds:
        for arm in (arm for arm in ARMS if arm.name in arguments.arms):
            config = make_config(arm, folder, seed=seed, steps=arguments.steps)
            began_s = time.process_time()
            weights = train(arm, config)
            spent_s = time.process_time() - began_s
            students.setdefault(arm.name, weights)
            near = score_student(load_network(weights)[0], held_out, settings=settings)
            row = {"arm": arm.name, "seed": seed, "nearness": asdict(near), "processor_s": round(spent_s, 1)}
            rows.append(row | {"log": read_log(Path(config.output))})
            print(json.dumps(rows[-1]), flush=True)
    floor = teacher_floor(held_out)
    print(format_table(rows))
    print(f"teacher, half against half: fid {floor[0]:.3g}, fvd {floor[1]:.3g}")
    if arguments.json is not None:
        report = {"steps": arguments.steps, "floor": {"fid": floor[0], "fvd": floor[1]}, "rows": rows}
        arguments.json.write_text(json.dumps(report, indent=1))
    if arguments.picture is not None:
        draw_strip(students, held_out, config, arguments.picture)


if __name__ == "__main__":
    main()
