"""Windows of the coming steps, read in threads while the network works on this one.

What a step reads hangs on its number alone, so the number of threads changes nothing but time.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def read_ahead(read: Callable[[int], T], steps: range, *, num_threads: int) -> Generator[T, None, None]:
    """Yield `read(step)` for each step in order; with threads, as many steps ahead as there are threads.

    An error of `read` is raised where its step would have come.
    """
    if num_threads == 0:
        yield from map(read, steps)
        return
    pool = ThreadPoolExecutor(num_threads, thread_name_prefix="loader")
    waiting: deque[Future[T]] = deque()
    try:
        for step in steps:
            waiting.append(pool.submit(read, step))
            if len(waiting) > num_threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)
