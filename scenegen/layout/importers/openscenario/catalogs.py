"""Files that a scenario names: its road network and its catalogs.

Scenarios usually lie beside their maps (`xosc/` and `xodr/`), so a named file must lie below the folder that holds the
scenario's own folder, links resolved, and end in `.xodr` or `.xosc`. Nothing else is opened. Where the scenario's
folder lies directly below the root of the file system, its own folder is the limit.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from scenegen.layout.importers.openscenario.parameters import resolve
from scenegen.layout.importers.xml_file import XmlElement, read_xml

MOST_CATALOG_FILES = 200


def confined(scenario: Path, named: str, element: XmlElement) -> Path:
    """Return the path that a scenario names, resolved.

    Raises:
        LayoutError: it is absolute, or leaves the folder above the scenario's own.
    """
    folder = scenario.resolve().parent
    limit = folder.parent if folder.parent != folder.parent.parent else folder
    if not named or "\x00" in named or "\\" in named or "://" in named or Path(named).is_absolute():
        element.fail("a relative path", repr(named))
    path = (folder / named).resolve()
    if not path.is_relative_to(limit):
        element.fail("a path below the folder that holds the scenario's own", repr(named))
    return path


def road_file(scenario: Path, root: XmlElement) -> Path:
    """Return the path of the road network.

    Raises:
        LayoutError: none is named, it is no `.xodr` file, or its path escapes.
    """
    logic = root.one("RoadNetwork").one("LogicFile")
    path = confined(scenario, logic.word("filepath"), logic)
    if path.suffix != ".xodr":
        logic.fail("an OpenDRIVE file, *.xodr", repr(path.name))
    if not path.is_file():
        logic.fail("an existing road network", f"nothing at {logic.word('filepath')!r}")
    return path


@dataclass(kw_only=True)
class Catalogs:
    """The catalogs of a scenario, read when the first entry is asked for."""

    scenario: Path
    root: XmlElement
    _read: dict[str, dict[str, XmlElement]] | None = field(default=None, init=False)

    def entry(self, reference: XmlElement) -> XmlElement:
        """Return the element that a `<CatalogReference>` means, its parameters filled in.

        Raises:
            LayoutError: catalog or entry is missing, a catalog is malformed, or its path escapes.
        """
        if self._read is None:
            self._read = self._read_all()
        name, wanted = reference.word("catalogName"), reference.word("entryName")
        if name not in self._read:
            known = ", ".join(sorted(self._read)) or "none"
            reference.fail(f"a catalog {name!r} in the catalog locations", f"catalogs: {known}")
        if wanted not in self._read[name]:
            reference.fail(f"an entry of catalog {name!r}", repr(wanted))
        assignments = reference.first("ParameterAssignments")
        assigned = {
            item.word("parameterRef"): item.word("value")
            for item in (assignments.all("ParameterAssignment") if assignments else [])
        }
        return resolve(self._read[name][wanted], {}, assigned=assigned)

    def _read_all(self) -> dict[str, dict[str, XmlElement]]:
        found: dict[str, dict[str, XmlElement]] = {}
        locations = self.root.first("CatalogLocations")
        for location in locations.children if locations else []:
            directory = location.one("Directory")
            folder = confined(self.scenario, directory.word("path"), directory)
            if not folder.is_dir():
                continue
            files = sorted(folder.glob("*.xosc"))
            if len(files) > MOST_CATALOG_FILES:
                directory.fail(f"at most {MOST_CATALOG_FILES} catalog files", f"{len(files)}")
            for file in files:
                inside = confined(self.scenario, directory.word("path") + "/" + file.name, directory)
                catalog = read_xml(inside, root="OpenSCENARIO").first("Catalog")
                if catalog is not None:
                    entries = found.setdefault(catalog.word("name"), {})
                    entries.update({child.word("name", ""): child for child in catalog.children})
        return found
