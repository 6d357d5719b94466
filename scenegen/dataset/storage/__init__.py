"""Where data sets lie: local folders and object stores behind one interface of keys below a root."""

from scenegen.dataset.storage.interface import Listed, Storage, Versioned
from scenegen.dataset.storage.local import LocalStorage
from scenegen.dataset.storage.open import Location, absolute_location, is_url, open_storage

__all__ = ["Listed", "LocalStorage", "Location", "Storage", "Versioned", "absolute_location", "is_url", "open_storage"]
