"""A Ray cluster on Kubernetes, as `scenegen cluster render` describes it to KubeRay."""

from __future__ import annotations

import re
from dataclasses import dataclass

from scenegen.config.require import require_not_negative, require_positive
from scenegen.errors import ConfigError

NAME_PATTERN = re.compile(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?")
"""What Kubernetes and KubeRay take for a name; theirs are longer by what they append to it."""


@dataclass(frozen=True, kw_only=True)
class HeadConfig:
    """The head's pod, where the driver runs and no scene is made."""

    cpus: int
    memory_gib: float

    def __post_init__(self) -> None:
        require_positive(self, "cpus", "memory_gib")


@dataclass(frozen=True, kw_only=True)
class WorkerGroupConfig:
    """The pods that make scenes.

    Attributes:
        replicas: pods at the start; Ray's autoscaler keeps between the two bounds what the job asks for.
        cpus, memory_gib, gpus: of each pod.
        node_selector: `label:value` of the nodes they may run on.
        tolerations: keys of taints that they bear.
    """

    replicas: int
    min_replicas: int
    max_replicas: int
    cpus: int
    memory_gib: float
    gpus: int
    node_selector: tuple[str, ...]
    tolerations: tuple[str, ...]

    def __post_init__(self) -> None:
        require_positive(self, "cpus", "memory_gib", "max_replicas")
        require_not_negative(self, "min_replicas", "gpus")
        if not self.min_replicas <= self.replicas <= self.max_replicas:
            found = f"{self.min_replicas}, {self.replicas}, {self.max_replicas}"
            raise ConfigError("min_replicas, replicas and max_replicas in rising order", found=found)
        for text in self.node_selector:
            if not all(text.partition(":")):
                raise ConfigError("label:value in node_selector", found=repr(text))


@dataclass(frozen=True, kw_only=True)
class ClusterConfig:
    """A Ray cluster on Kubernetes.

    Attributes:
        image: container image with scenegen[ray] inside.
        ray_version: of the image.
        token_secret: a Secret whose key `auth_token` guards the cluster.
        volume_claim: a claim that every pod mounts at `mount_path`; None where the output is an object store.
        restarts: how many new clusters a job may be given when its own is lost.
    """

    name: str
    namespace: str
    image: str
    ray_version: str
    token_secret: str
    volume_claim: str | None
    mount_path: str
    restarts: int
    head: HeadConfig
    workers: WorkerGroupConfig

    def __post_init__(self) -> None:
        for key in ("name", "namespace", "token_secret"):
            if not NAME_PATTERN.fullmatch(getattr(self, key)):
                raise ConfigError(
                    f"{key} of lower-case letters, digits and dashes", found=repr(getattr(self, key)), where="cluster"
                )
        require_not_negative(self, "restarts")
        if not self.mount_path.startswith("/"):
            raise ConfigError("an absolute mount_path", found=repr(self.mount_path), where="cluster")
