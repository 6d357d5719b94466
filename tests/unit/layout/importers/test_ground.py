"""Outlines of lanes become ground, whatever their shape."""

from __future__ import annotations

import pytest
import shapely

from scenegen.layout.importers.ground import GROUND_KINDS, areal, areas_of, unite_ground

SPIKE = shapely.Polygon([(0, 0), (10, 0), (10, 10), (5, 10), (5, 20), (5, 10), (0, 10)])
BOW = shapely.Polygon([(0, 0), (10, 10), (10, 0), (0, 10)])
LINE = shapely.Polygon([(0, 0), (10, 0), (5, 0)])


@pytest.mark.parametrize(("outline", "area_m2"), [(SPIKE, 100.0), (BOW, 50.0), (LINE, 0.0)])
def test_only_what_has_an_area_is_kept(outline: shapely.Polygon, area_m2: float) -> None:
    kept = areal(outline)
    assert kept.geom_type in ("Polygon", "MultiPolygon") and kept.is_valid
    assert kept.area == pytest.approx(area_m2)


def test_outlines_that_cross_themselves_are_united_without_overlaps() -> None:
    outlines = {
        kind: [shapely.transform(shape, lambda xy, by=4.0 * idx: xy + by) for shape in (SPIKE, BOW, LINE)]
        for idx, kind in enumerate(GROUND_KINDS)
    }
    ground = unite_ground(outlines)
    assert ground["drivable"].area == pytest.approx(100.0, abs=0.1)
    total_m2 = sum(region.area for region in ground.values())
    assert shapely.union_all(list(ground.values())).area == pytest.approx(total_m2, abs=1e-3)
    assert all(areas_of(region, kind) for kind, region in ground.items())
