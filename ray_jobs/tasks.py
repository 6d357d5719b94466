"""One function over many scenes as Ray tasks: bounded in flight, tried again where a worker or its node is lost."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from scenegen.errors import SceneGenError

T = TypeVar("T")
MAX_RETRIES = 3
POLL_S = 0.5


def map_on_ray(function: Callable[..., T], arguments: Sequence[tuple[Any, ...]], *, num_workers: int) -> Iterator[T]:
    """Yield what `function` returns for each tuple of arguments, as it is ready. Ray must be open.

    Raises:
        SceneGenError: what the function raised on purpose; the other calls are cancelled.
    """
    import ray

    task: Any = ray.remote(num_cpus=1, max_retries=MAX_RETRIES)(function)
    waiting = deque(arguments)
    running: list[Any] = []
    try:
        while waiting or running:
            while waiting and len(running) < num_workers:
                running.append(task.remote(*waiting.popleft()))
            ready, running = ray.wait(running, num_returns=1, timeout=POLL_S)
            for call in ready:
                yield ray.get(call)
    except ray.exceptions.RayTaskError as error:
        raise error.cause if isinstance(error.cause, SceneGenError) else error from None
    finally:
        for call in running:
            ray.cancel(call, force=True)
