"""Benchmarks: `python -m benchmarks`, or one of them by name."""

from scenegen.video.threads import let_waiting_threads_sleep

let_waiting_threads_sleep()
