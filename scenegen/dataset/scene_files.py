"""The files of one committed scene, wherever they lie."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from scenegen.dataset.storage import Storage


@dataclass(frozen=True)
class SceneFiles:
    """Files of a scene's store by name; names are the keys of Zarr.

    Attributes:
        storage: of the data set.
        prefix: of the scene's store in it.
    """

    storage: Storage
    prefix: str

    def key(self, name: str) -> str:
        """Return a file's key in the data set."""
        return f"{self.prefix}/{name}"

    def where(self, name: str) -> str:
        """Return a file's full path or URL, for messages."""
        return self.storage.where(self.key(name))

    def sizes(self) -> dict[str, int]:
        """Return the size of every file, with one request per thousand of them."""
        return {file.key[len(self.prefix) + 1 :]: file.num_bytes for file in self.storage.list_files(self.prefix)}

    def sha256(self, name: str) -> str:
        """Return the hex SHA-256 of a file.

        Raises:
            FileNotFoundError: there is no such file.
        """
        return sha256_of_stored(self.storage, self.key(name))


def sha256_of_stored(storage: Storage, key: str) -> str:
    """Return the hex SHA-256 of a stored file.

    Raises:
        FileNotFoundError: there is no such file.
    """
    digest = hashlib.sha256()
    for block in storage.read_blocks(key):
        digest.update(block)
    return digest.hexdigest()
