"""Range reads of one file that run ahead once they are consecutive: a film read in order needs few requests."""

from __future__ import annotations

from scenegen.dataset.storage.interface import Storage


class ReadAhead:
    """Reads ranges of one file. Holds at most `storage.read_ahead_bytes` of it, and nothing on local disks.

    Args:
        storage: of the data set.
        key: of the file.
        num_bytes: its size.
    """

    def __init__(self, storage: Storage, key: str, *, num_bytes: int) -> None:
        self._storage, self._key, self._num_bytes = storage, key, num_bytes
        self._next = -1
        self._held_start, self._held = 0, b""

    def read(self, start: int, num_bytes: int) -> bytes:
        """Return part of the file; fewer bytes where it ends earlier. Raises as `Storage.read_range`."""
        stop = start + num_bytes
        is_consecutive, self._next = start == self._next, stop
        if not (self._held_start <= start and stop <= self._held_start + len(self._held)):
            ahead = self._storage.read_ahead_bytes if is_consecutive else 0
            wanted = min(max(num_bytes, ahead), self._num_bytes - start)
            content = self._storage.read_range(self._key, start, max(wanted, 0))
            if ahead <= num_bytes:
                return content[:num_bytes]
            self._held_start, self._held = start, content
        offset = start - self._held_start
        return self._held[offset : offset + num_bytes]
