"""Layout references: `source:location`, a library name, or a path; and the table of sources behind them."""

from __future__ import annotations

import difflib
import fnmatch
import glob
from collections.abc import Callable, Sequence
from pathlib import Path

from scenegen.errors import LayoutError
from scenegen.layout.edits import apply_edits
from scenegen.layout.edits.grammar import join_edits, split_edits
from scenegen.layout.procedural_reference import parse_procedural, read_procedural
from scenegen.layout.traffic_mix import DRAWN_MIX, TrafficMix
from scenegen.types.layout import Layout

LAYOUT_SUFFIXES = (".yaml", ".yml")


def read_layout(reference: str, *, mix: TrafficMix = DRAWN_MIX) -> Layout:
    """Read and validate the layout that a single reference names, and apply the edits behind it.

    Edits follow a bar: `cut_in | remove(ahead) | mirror` (`layout.edits`).

    Args:
        reference: `library:NAME`, `file:PATH.yaml`, `procedural:SEED`, `procedural:STYLE/SEED`,
            `procedural:EVENT/SEED` (`long_tail.EVENTS`, or `long_tail` for any),
            `procedural:120s/SEED` (drawn for that long; 30 s otherwise), `av2:DIR`, `scenarionet:FILE.pkl`,
            `nuscenes:ROOT/VERSION/SCENE`, `opendrive:FILE.xodr`, `openscenario:FILE.xosc`,
            `comma2k19:SEGMENT`, `av2_motion:DIR`, `kitti_tracking:ROOT/SEQUENCE`, `waymo:FILE[/NUMBER]`,
            `dgp:SCENE_DIR`,
            `l5kit:ZARR[/NUMBER]`; or only NAME for the library, or only PATH.yaml.
        mix: traffic of `procedural` layouts; the others have their own.

    Raises:
        LayoutError: unknown source, nothing at that location, a layout or edit that does not make sense.
    """
    from scenegen.layout.validate import validate_layout

    plain, edits = split_edits(reference)
    source, location = split_reference(plain)
    layout = read_procedural(location, mix=mix) if source == "procedural" else SOURCES[source](location)
    validate_layout(layout)
    return apply_edits(layout, edits)


def expand_references(references: Sequence[str]) -> list[str]:
    """Expand globs and ranges, in order, each result being `source:location` with the edits of its reference.

    >>> expand_references(["procedural:3-5", "procedural:9"])
    ['procedural:3', 'procedural:4', 'procedural:5', 'procedural:9']
    >>> expand_references(["procedural:3-4 | mirror"])
    ['procedural:3 | mirror', 'procedural:4 | mirror']

    Raises:
        LayoutError: unknown source, empty range, or a glob that matches nothing.
    """
    expanded: list[str] = []
    for reference in references:
        plain, edits = split_edits(reference)
        expanded += [join_edits(each, edits) for each in _expand(plain)]
    return expanded


def _expand(reference: str) -> list[str]:
    source, location = split_reference(reference)
    if source == "procedural":
        seeds = parse_procedural(location).seeds
        head = location[: location.rfind("/") + 1]
        return [f"procedural:{head}{seed}" for seed in seeds]
    if glob.has_magic(location):
        return [f"{source}:{match}" for match in _matches(source, location)]
    return [f"{source}:{location}"]


def is_in_code(reference: str) -> bool:
    """Say whether a layout comes with scenegen, so that every machine reads the same one by its reference.

    >>> is_in_code("procedural:7"), is_in_code("crossing_pedestrian"), is_in_code("mine.yaml")
    (True, True, False)
    """
    return split_reference(split_edits(reference)[0])[0] in ("library", "procedural")


def split_reference(reference: str) -> tuple[str, str]:
    """Split a reference into its source and location, filling in the source of bare names and paths.

    >>> split_reference("crossing_pedestrian"), split_reference("scenes/my.yaml")
    (('library', 'crossing_pedestrian'), ('file', 'scenes/my.yaml'))
    """
    head, colon, tail = reference.partition(":")
    if colon and head in SOURCES:
        if not tail:
            raise LayoutError("a location after the colon", found=repr(reference), where="layout reference")
        return head, tail
    if reference.endswith(LAYOUT_SUFFIXES):
        return "file", reference
    if colon:
        raise LayoutError(
            f"a source out of {', '.join(SOURCES)}",
            found=repr(head),
            where=f"layout reference {reference!r}",
            fix=_did_you_mean(head, list(SOURCES)),
        )
    if not reference:
        raise LayoutError("a layout reference", found="nothing", where="layouts")
    return "library", reference


def library_names() -> list[str]:
    """Return the names of all scenes that ship with scenegen, sorted."""
    return sorted(path.stem for path in _library_folder().glob("*.yaml"))


def _library_folder() -> Path:
    package = Path(__file__).resolve().parents[1]
    for folder in (package / "layouts" / "library", package.parent / "layouts" / "library"):
        if folder.is_dir():
            return folder
    raise LayoutError(
        "the scene library", found="no folder layouts/library", where=str(package), fix="reinstall scenegen"
    )


def _did_you_mean(name: str, known: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    return f"did you mean {close[0]!r}?" if close else ""


def _matches(source: str, pattern: str) -> list[str]:
    where = f"layout reference '{source}:{pattern}'"
    if source == "library":
        matches = [name for name in library_names() if Path(name).match(pattern)]
        if not matches:
            raise LayoutError("library scenes matching the pattern", found="none", where=where, fix=_library_listing())
        return matches
    if source in ("nuscenes", "kitti_tracking"):
        return _matches_of_names(source, pattern, where)
    matches = sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207  Path.glob takes no absolute pattern
    if not matches:
        raise LayoutError("files matching the pattern", found="none", where=where)
    return matches


def _matches_of_names(source: str, pattern: str, where: str) -> list[str]:
    """Match the names of scenes, which are rows of a table, or of sequences, each several files."""
    from scenegen.layout.importers.kitti_text import sequence_names
    from scenegen.layout.importers.nuscenes import scene_names

    folder, _, name = pattern.rpartition("/")
    if glob.has_magic(folder):
        raise LayoutError("a pattern in the scene's name only", found=repr(folder), where=where)
    known_names = {"nuscenes": scene_names, "kitti_tracking": sequence_names}[source](_existing(folder or ".", source))
    names = [known for known in known_names if fnmatch.fnmatchcase(known, name)]
    if not names:
        raise LayoutError("scenes matching the pattern", found="none", where=where)
    return [f"{folder or '.'}/{known}" for known in sorted(names)]


def _library_listing() -> str:
    return f"the library has {', '.join(library_names())}"


def _existing(location: str, source: str) -> Path:
    path = Path(location).expanduser()
    if path.exists():
        return path
    siblings = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
    hint = _did_you_mean(path.name, siblings) if siblings else f"there is no folder {str(path.parent)!r} either"
    raise LayoutError("an existing path", found=f"nothing at {location!r}", where=f"{source}:{location}", fix=hint)


def _read_library(name: str) -> Layout:
    from scenegen.layout.read_yaml import read_yaml_layout

    names = library_names()
    if name not in names:
        hint = " ".join(part for part in (_did_you_mean(name, names), _library_listing()) if part)
        raise LayoutError("a library scene", found=repr(name), where="layout reference", fix=hint)
    return read_yaml_layout(_library_folder() / f"{name}.yaml", source="library")


def _read_file(location: str) -> Layout:
    from scenegen.layout.read_yaml import read_yaml_layout

    return read_yaml_layout(_existing(location, "file"), source="file")


def _read_av2(location: str) -> Layout:
    from scenegen.layout.importers.argoverse2 import read_argoverse2

    path = _existing(location, "av2")
    return _read_av2_motion(location) if any(path.glob("scenario_*.parquet")) else read_argoverse2(path)


def _read_av2_motion(location: str) -> Layout:
    from scenegen.layout.importers.argoverse2_motion import read_argoverse2_motion

    return read_argoverse2_motion(_existing(location, "av2_motion"))


def _read_scenarionet(location: str) -> Layout:
    from scenegen.layout.importers.scenarionet import read_scenarionet

    return read_scenarionet(_existing(location, "scenarionet"))


def _read_nuscenes(location: str) -> Layout:
    from scenegen.layout.importers.nuscenes import read_nuscenes

    path = Path(location).expanduser()
    return read_nuscenes(_existing(location, "nuscenes") if path.exists() or not path.parent.is_dir() else path)


def _read_kitti_tracking(location: str) -> Layout:
    from scenegen.layout.importers.kitti_tracking import read_kitti_tracking

    return read_kitti_tracking(Path(location).expanduser())


def _read_waymo(location: str) -> Layout:
    from scenegen.layout.importers.waymo import read_waymo

    return read_waymo(*_numbered(location, "waymo"))


def _read_l5kit(location: str) -> Layout:
    from scenegen.layout.importers.l5kit import read_l5kit

    return read_l5kit(*_numbered(location, "l5kit"))


def _numbered(location: str, source: str) -> tuple[Path, int | None]:
    """Split `PATH` or `PATH/NUMBER`, where the path exists."""
    path = Path(location).expanduser()
    if path.exists() or not path.name.isdecimal() or not path.parent.exists():
        return _existing(location, source), None
    return path.parent, int(path.name)


def _read_opendrive(location: str) -> Layout:
    from scenegen.layout.importers.opendrive import read_opendrive

    return read_opendrive(_existing(location, "opendrive"))


def _read_comma2k19(location: str) -> Layout:
    from scenegen.layout.importers.comma2k19 import read_comma2k19

    return read_comma2k19(_existing(location, "comma2k19"))


def _read_commonroad(location: str) -> Layout:
    from scenegen.layout.importers.commonroad import read_commonroad

    return read_commonroad(_existing(location, "commonroad"))


def _read_lanelet2(location: str) -> Layout:
    from scenegen.layout.importers.lanelet2 import read_lanelet2

    return read_lanelet2(_existing(location, "lanelet2"))


def _read_openscenario(location: str) -> Layout:
    from scenegen.layout.importers.openscenario import read_openscenario

    return read_openscenario(_existing(location, "openscenario"))


def _read_dgp(location: str) -> Layout:
    from scenegen.layout.importers.dgp import read_dgp

    return read_dgp(_existing(location, "dgp"))


SOURCES: dict[str, Callable[[str], Layout]] = {
    "library": _read_library,
    "file": _read_file,
    "procedural": read_procedural,
    "av2": _read_av2,
    "av2_motion": _read_av2_motion,
    "kitti_tracking": _read_kitti_tracking,
    "waymo": _read_waymo,
    "l5kit": _read_l5kit,
    "scenarionet": _read_scenarionet,
    "nuscenes": _read_nuscenes,
    "opendrive": _read_opendrive,
    "openscenario": _read_openscenario,
    "dgp": _read_dgp,
    "commonroad": _read_commonroad,
    "lanelet2": _read_lanelet2,
    "comma2k19": _read_comma2k19,
}
