"""The verb `cluster`: manifests for Kubernetes, from the configuration of the job that is to run there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from scenegen.cli.compose import compose_config
from scenegen.config import ClusterConfig, GenerateConfig

PREFIX = "cluster."
EXAMPLES = """examples:
  scenegen cluster render cluster.image=registry.example/scenegen:0.1.0 cluster.volume_claim=scenes \\
      output=/data/many layouts=[procedural:1-1000] run.num_workers=8 | kubectl apply -f -
  scenegen cluster render --kind raycluster cluster.image=... cluster.workers.gpus=1 run.gpus_per_worker=0.5

Keys below `cluster.` are those of conf/cluster.yaml, all others those of `scenegen generate`. More: docs/operations.md.
"""


def add_verbs(verbs: Any, common: argparse.ArgumentParser) -> None:
    """Add `cluster render`."""
    cluster = verbs.add_parser(
        "cluster",
        help="manifests for a KubeRay cluster",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = cluster.add_subparsers(title="actions", metavar="ACTION", required=True)
    render = actions.add_parser(
        "render",
        parents=[common],
        help="print a RayJob or RayCluster as YAML",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    render.add_argument("overrides", nargs="*", metavar="key=value", help="cluster.KEY=VALUE, and those of generate")
    render.add_argument("--kind", default="rayjob", metavar="KIND", help="rayjob (default) or raycluster")
    render.add_argument("--config-dir", type=Path, help="a folder with config groups of your own: rig/mine.yaml")
    render.set_defaults(verb=run_render)


def run_render(options: argparse.Namespace) -> None:
    """Print a manifest."""
    import yaml

    from scenegen.orchestration.kuberay import render_manifest

    own = [text.removeprefix(PREFIX) for text in options.overrides if text.startswith(PREFIX)]
    overrides = [text for text in options.overrides if not text.startswith(PREFIX)]
    cluster = compose_config(ClusterConfig, "cluster", own)
    job = compose_config(GenerateConfig, "generate", ["run=ray_cluster", *overrides], search=options.config_dir)
    manifest = render_manifest(options.kind, cluster, job, overrides=overrides)
    sys.stdout.write(yaml.dump(manifest, Dumper=_plain_dumper(), sort_keys=False))


def _plain_dumper() -> Any:
    """Return a dumper that writes equal parts out instead of linking them, which few readers expect."""
    import yaml

    class PlainDumper(yaml.SafeDumper):
        def ignore_aliases(self, data: Any) -> bool:
            return True

    return PlainDumper
