"""`scenegen generate ... stream=true`: a video on standard output while it is made, and nothing stored.

scenegen generate layouts=[procedural:120s/7] duration_s=120 num_steps_per_chunk=1 stream=true | ffplay -
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import groupby
from pathlib import Path
from typing import BinaryIO, TextIO

from scenegen.config import GenerateConfig
from scenegen.errors import ConfigError, OutputError
from scenegen.streaming import StreamedStep, stream


def run_stream(config: GenerateConfig) -> None:
    """Write a YUV4MPEG2 video of all cameras to standard output, and labels to `stream_labels`, step by step.

    Raises:
        ConfigError: standard output is a terminal.
    """
    from scenegen.dataset.preview import Mosaic
    from scenegen.dataset.y4m import Y4mWriter

    output = _binary_output()
    steps = stream(config)
    with ExitStack() as stack:
        labels = stack.enter_context(_open_labels(config.stream_labels))
        writer: Y4mWriter | None = None
        for record, moments in groupby(steps, key=lambda moment: moment.record):
            mosaic, begun_s, num_steps = Mosaic(record), time.perf_counter(), 0
            if writer is None:
                writer = Y4mWriter(output, rate_hz=record.layout.timeline.rate_hz, size_px=mosaic.size_px)
            for moment in moments:
                if labels is not None:
                    labels.write(label_line(moment))
                    labels.flush()
                writer.append(mosaic.draw(moment.chunk.rgb[:, 0], step=moment.step))
                num_steps += 1
            seconds = time.perf_counter() - begun_s
            sys.stderr.write(f"{record.scene_id}: {num_steps} steps, {num_steps / max(seconds, 1e-9):.2f}/s\n")


def label_line(moment: StreamedStep) -> str:
    """Return one line of JSON: where the ego is, and the boxes of all agents; names as in a stored scene."""
    ego = moment.record.layout.ego
    line = {
        "scene_id": moment.record.scene_id,
        "step": moment.count,
        "timestamp_us": moment.timestamp_us,
        "ego2global": ego.world_from_ego[moment.step].tolist(),
        "ego_velocity": ego.velocity_world_mps[moment.step].tolist(),
        "objects": moment.boxes(),
    }
    return json.dumps(line) + "\n"


def _binary_output() -> BinaryIO:
    if sys.stdout.isatty():
        raise ConfigError(
            "standard output that goes to a program or a file",
            found="a terminal",
            where="stream=true",
            fix="append `| ffplay -` or `> video.y4m`",
        )
    return sys.stdout.buffer


@contextmanager
def _open_labels(name: str | None) -> Iterator[TextIO | None]:
    if name is None:
        yield None
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(Path(name).open("w", encoding="utf-8"))
        except OSError as error:
            raise OutputError("a file that can be written", found=str(error), where=f"stream_labels={name}") from error
        yield file
