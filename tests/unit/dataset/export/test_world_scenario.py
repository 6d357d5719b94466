"""The world-scenario export, read back as the loader of ClipGT folders does."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.polynomial import polynomial
from scipy.spatial.transform import Rotation

from scenegen.dataset import fold_receipts, open_dataset
from scenegen.dataset.export import export_dataset
from scenegen.dataset.export.keys import absolute_stamps_us
from scenegen.dataset.export.world_scenario.controls import agent_rgb, edge_picture, segmentation_picture
from scenegen.dataset.export.world_scenario.painting import WorldScenarioPainter
from scenegen.dataset.export.world_scenario.tables import ClipTables
from scenegen.dataset.export.world_scenario.views import fit_lens, name_views
from scenegen.dataset.stored_scene import Scene
from scenegen.dataset.wireframe import box_corners_world_m, project_edges
from scenegen.geometry.lens import project_points
from scenegen.geometry.rigid import invert_rigid, transform_points
from scenegen.types import PINHOLE, Camera, CameraRig, Lens, Prop, RoadMap
from tests.unit.dataset.conftest import write_scene
from tests.unit.dataset.export.export_scene import NUM_STEPS, export_record, write_labelled
from tests.unit.dataset.tiny_scene import tiny_record, tiny_rig

pq = pytest.importorskip("pyarrow.parquet", reason="PyArrow is not installed: scenegen[generate]")
av = pytest.importorskip("av", reason="PyAV is not installed: scenegen[generate]")

SCENE_ID = "all-00c0ffee"
TINY_ID = "tiny-00c0ffee"
RDF_FROM_FLU = np.array([[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]])


@pytest.fixture(scope="module")
def exported(labelled_dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("world_scenario") / "out"
    export_dataset(labelled_dataset, format="world_scenario", out=out, scene_ids=[SCENE_ID])
    return out


def read_table(out: Path, name: str) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pq.read_table(
        out / "scene_annotations" / SCENE_ID / f"{SCENE_ID}.{name}.parquet"
    ).to_pylist()
    return rows


def xyz(values: dict[str, float]) -> list[float]:
    return [values[axis] for axis in "xyz"]


def pose_of(place: dict[str, float], orientation: dict[str, float]) -> np.ndarray[Any, Any]:
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_quat([orientation[part] for part in "xyzw"]).as_matrix()
    pose[:3, 3] = xyz(place)
    return pose


def test_the_ego_starts_at_the_origin_and_moves_as_in_the_scene(exported: Path, labelled_dataset: Path) -> None:
    dataset = open_dataset(labelled_dataset)
    scene = dataset[SCENE_ID]
    rows = read_table(exported, "egomotion_estimate")
    stamps = [row["key"]["timestamp_micros"] for row in rows]
    assert stamps == absolute_stamps_us(dataset, scene).tolist()
    poses = [pose_of(row["egomotion_estimate"]["location"], row["egomotion_estimate"]["orientation"]) for row in rows]
    np.testing.assert_allclose(poses[0], np.eye(4), atol=1e-12)
    np.testing.assert_allclose(poses[-1][:3, 3], [6.0 * (NUM_STEPS - 1) / 12.0, 0.0, 0.0], atol=1e-9)
    for row in rows:
        assert row["key"]["clip_id"] == SCENE_ID


def test_the_clip_frame_turns_with_a_scene_that_starts_elsewhere(tmp_path: Path) -> None:
    record = export_record(scene_id=SCENE_ID)
    start = np.eye(4)
    start[:2, :2] = [[0.0, -1.0], [1.0, 0.0]]
    start[:3, 3] = [5.0, 7.0, 0.0]
    ego = dataclasses.replace(
        record.layout.ego,
        world_from_ego=start @ record.layout.ego.world_from_ego,
        velocity_world_mps=np.tile([0.0, 6.0], (NUM_STEPS, 1)),
    )
    turned = dataclasses.replace(record, layout=dataclasses.replace(record.layout, ego=ego))
    write_labelled(tmp_path / "ds", turned)
    fold_receipts(tmp_path / "ds")
    scene = open_dataset(tmp_path / "ds")[SCENE_ID]
    folder = tmp_path / "out" / "scene_annotations" / SCENE_ID
    folder.mkdir(parents=True)
    ClipTables(folder, scene, stamps_us=scene.timestamps_us).write(sensor_names=name_views(scene.rig))
    boxes = scene.boxes(0)
    obstacles = read_table(tmp_path / "out", "obstacle")[: len(boxes)]
    x_m, y_m, z_m = boxes.center_world_m[2]
    found = obstacles[2]["obstacle"]
    np.testing.assert_allclose(xyz(found["center"]), [y_m - 7.0, 5.0 - x_m, z_m], atol=1e-9)
    yaw = Rotation.from_quat([found["orientation"][part] for part in "xyzw"]).as_euler("xyz")[2]
    np.testing.assert_allclose(yaw, scene.layout.agents[2].heading_rad[0] - np.pi / 2, atol=1e-9)


def test_obstacles_project_by_the_tables_to_where_the_camera_sees_them(exported: Path, labelled_dataset: Path) -> None:
    """Follow the loader's own chain: clip, ego, sensor by roll-pitch-yaw, f-theta polynomial; compare with ours."""
    scene = open_dataset(labelled_dataset)[SCENE_ID]
    ego = read_table(exported, "egomotion_estimate")
    (calibration,) = read_table(exported, "calibration_estimate")
    sensors = {
        row["name"]: row for row in json.loads(calibration["calibration_estimate"]["rig_json"])["rig"]["sensors"]
    }
    obstacles = read_table(exported, "obstacle")
    names = json.loads((exported / "cameras.json").read_text())[SCENE_ID]
    num_seen = 0
    for camera in scene.rig.cameras:
        sensor = sensors[names[camera.name]["sensor"]]
        assert names[camera.name]["largest_lens_error_px"] < 0.01
        for row in obstacles[:: len(scene.boxes(0)) // 2]:
            step = [entry["key"]["timestamp_micros"] for entry in ego].index(row["key"]["timestamp_micros"])
            motion = ego[step]["egomotion_estimate"]
            clip_from_ego = pose_of(motion["location"], motion["orientation"])
            center_cam = loader_camera_point(np.array(xyz(row["obstacle"]["center"])), clip_from_ego, sensor)
            if center_cam[2] < 1.0 or np.abs(center_cam[:2]).max() > 0.65 * center_cam[2]:
                continue
            boxes = scene.boxes(step)
            box = int(np.flatnonzero(boxes.track_id == int(row["obstacle"]["trackline_id"]))[0])
            cam_from_world = invert_rigid(scene.ego2global[step] @ camera.ego_from_cam)
            expected = project_points(transform_points(cam_from_world, boxes.center_world_m[box]), camera)
            np.testing.assert_allclose(f_theta_pixel(center_cam, sensor), expected, atol=0.02)
            num_seen += 1
    assert num_seen >= 10


def loader_camera_point(
    point_clip_m: np.ndarray[Any, Any], clip_from_ego: np.ndarray[Any, Any], sensor: dict[str, Any]
) -> np.ndarray[Any, Any]:
    rig = sensor["nominalSensor2Rig_FLU"]
    ego_from_flu = np.eye(4)
    ego_from_flu[:3, :3] = Rotation.from_euler("xyz", np.radians(rig["roll-pitch-yaw"])).as_matrix()
    ego_from_flu[:3, 3] = rig["t"]
    point_flu = np.linalg.inv(clip_from_ego @ ego_from_flu) @ [*point_clip_m, 1.0]
    return RDF_FROM_FLU @ point_flu[:3]


def f_theta_pixel(point_cam_m: np.ndarray[Any, Any], sensor: dict[str, Any]) -> np.ndarray[Any, Any]:
    properties = sensor["properties"]
    assert (properties["Model"], properties["polynomial-type"]) == ("ftheta", "pixeldistance-to-angle")
    coefficients = np.array([float(text) for text in properties["polynomial"].split()])
    radii = np.linspace(0.0, 60.0, 200_001)
    off_axis = np.hypot(*point_cam_m[:2])
    radius = np.interp(np.arctan2(off_axis, point_cam_m[2]), polynomial.polyval(radii, coefficients), radii)
    direction = point_cam_m[:2] / max(off_axis, 1e-12)
    return radius * direction + [float(properties["cx"]), float(properties["cy"])]


def test_obstacles_have_sizes_categories_and_tracks(exported: Path, labelled_dataset: Path) -> None:
    scene = open_dataset(labelled_dataset)[SCENE_ID]
    rows = read_table(exported, "obstacle")
    assert len(rows) == sum(len(scene.boxes(step)) for step in range(scene.num_steps))
    first = {row["obstacle"]["trackline_id"]: row["obstacle"] for row in rows[: len(scene.boxes(0))]}
    assert first["0"]["category"] == "automobile" and xyz(first["0"]["size"]) == [4.5, 1.9, 1.6]
    assert first["5"]["category"] == "person"
    assert {row["category"] for row in first.values()} == {
        "automobile",
        "heavy_truck",
        "bus",
        "trailer",
        "other_vehicle",
        "person",
        "rider",
        "protruding_object",
        "animal",
    }


def test_the_map_is_where_the_scene_has_it(exported: Path) -> None:
    lanes = read_table(exported, "lane")
    assert len(lanes) == 3
    assert {point["y"] for point in lanes[0]["lane"]["left_rail"]} == {0.0}
    assert {point["y"] for point in lanes[0]["lane"]["right_rail"]} == {-3.5}
    assert lanes[0]["lane"]["speed_limit"] is None
    lines = [row["lane_line"] for row in read_table(exported, "lane_line")]
    assert [(set(line["styles"]), set(line["colors"])) for line in lines] == [
        ({"SOLID_GROUP"}, {"YELLOW"}),
        ({"LONG_DASHED_SINGLE"}, {"WHITE"}),
    ]
    assert len(lines[0]["styles"]) == len(lines[0]["line_rail"]) == 25
    (crosswalk,) = read_table(exported, "crosswalk")
    assert [xyz(point)[:2] for point in crosswalk["crosswalk"]["location"]] == [[10, -6], [13, -6], [13, 6], [10, 6]]
    boundaries = [row["road_boundary"]["location"] for row in read_table(exported, "road_boundary")]
    assert len(boundaries) == 2, "the outline with the parking bay, and the hole"
    assert all(ring[0] == ring[-1] for ring in boundaries)
    folder = exported / "scene_annotations" / SCENE_ID
    assert not list(folder.glob("*.traffic_light.parquet")), "the map has none"


def test_props_become_poles_lights_and_signs(tmp_path: Path) -> None:
    record = tiny_record(scene_id=SCENE_ID)
    props = (
        Prop(kind="tree", position_world_m=np.array([10.0, 9.0])),
        Prop(kind="traffic_light", position_world_m=np.array([20.0, -7.0]), heading_rad=0.5, height_m=5.0),
        Prop(kind="sign", position_world_m=np.array([30.0, -7.0])),
        Prop(kind="hedge", position_world_m=np.array([35.0, -7.0])),
    )
    road_map = dataclasses.replace(record.layout.road_map, props=props)
    write_scene(
        tmp_path / "ds", dataclasses.replace(record, layout=dataclasses.replace(record.layout, road_map=road_map))
    )
    fold_receipts(tmp_path / "ds")
    scene = open_dataset(tmp_path / "ds")[SCENE_ID]
    folder = tmp_path / "out" / "scene_annotations" / SCENE_ID
    folder.mkdir(parents=True)
    ClipTables(folder, scene, stamps_us=scene.timestamps_us).write(sensor_names=name_views(scene.rig))
    tree, post, sign_post = (row["pole"] for row in read_table(tmp_path / "out", "pole"))
    assert (tree["category"], post["category"], sign_post["category"]) == ("TREE", "UNKNOWN", "SIGN")
    assert [xyz(point) for point in tree["location"]] == [[10.0, 9.0, 0.0], [10.0, 9.0, 7.0]]
    assert [xyz(point) for point in post["location"]] == [[20.0, -7.0, 0.0], [20.0, -7.0, 5.0]]
    (light,) = read_table(tmp_path / "out", "traffic_light")
    ahead_m = 0.16 * np.array([np.cos(0.5), np.sin(0.5)])
    assert xyz(light["traffic_light"]["center"]) == pytest.approx([20.0 + ahead_m[0], -7.0 + ahead_m[1], 5.0 - 0.45])
    assert light["traffic_light"]["orientation"]["z"] == pytest.approx(np.sin(0.25))
    assert len(read_table(tmp_path / "out", "traffic_sign")) == 1


def frames_of(path: Path) -> np.ndarray[Any, Any]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def test_every_camera_has_every_control_at_every_step(full_dataset: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export_dataset(full_dataset, format="world_scenario", out=out)
    scene = open_dataset(full_dataset)[TINY_ID]
    names = json.loads((out / "cameras.json").read_text())[TINY_ID]
    assert len({entry["videos"] for entry in names.values()}) == len(scene.cameras)
    for kind in ("videos", *(f"control_input_{name}" for name in ("hdmap_bbox", "edge", "depth", "seg"))):
        for entry in names.values():
            assert len(frames_of(out / kind / entry["videos"] / f"{TINY_ID}.mp4")) == scene.num_steps
    depth_mm = scene.depth("CAM_FRONT")[3]
    shown = frames_of(out / "control_input_depth" / "ftheta_camera_front_wide_120fov" / f"{TINY_ID}.mp4")[3][..., 1]
    expected = np.where(depth_mm == 0, 0, np.minimum(255.0, 255.0 * 3000.0 / np.maximum(depth_mm, 1)))
    assert np.abs(shown.astype(float) - expected).mean() < 8.0, "up to the losses of the video"
    stamps = json.loads((out / "scene_annotations" / TINY_ID / f"{TINY_ID}.camera_front_wide_120fov.json").read_text())
    assert [row["frame_num"] for row in stamps] == list(range(scene.num_steps))
    caption = out / "captions" / "ftheta_camera_front_wide_120fov" / f"{TINY_ID}.json"
    assert json.loads(caption.read_text()) == {"caption": "a quiet street"}


def test_a_scene_without_pixel_maps_has_no_depth_and_says_so(exported: Path) -> None:
    assert not (exported / "control_input_depth").exists()
    entry = json.loads((exported / "cameras.json").read_text())[SCENE_ID]["CAM_FRONT"]
    assert entry["controls"] == ["control_input_hdmap_bbox", "control_input_edge"]


def only_agent(
    tmp_path: Path,
    agent_idx: int,
    *,
    place_m: tuple[float, float],
    heading_rad: float,
    lens: Lens = PINHOLE,
) -> Scene:
    """Write a scene with one agent on bare ground, and open it."""
    record = export_record(scene_id="one-00c0ffee")
    agent = record.layout.agents[agent_idx]
    center = np.tile([*place_m, 0.5 * agent.size_lwh_m[2]], (NUM_STEPS, 1))
    agent = dataclasses.replace(agent, center_world_m=center, heading_rad=np.full(NUM_STEPS, heading_rad))
    layout = dataclasses.replace(record.layout, agents=(agent,), road_map=RoadMap(num_roads=1))
    (camera,) = tiny_rig(size_px=(160, 96), names=("CAM_FRONT",)).cameras
    rig = CameraRig(name="one", cameras=(dataclasses.replace(camera, lens=lens),))
    write_labelled(tmp_path, dataclasses.replace(record, layout=layout, rig=rig))
    fold_receipts(tmp_path)
    return open_dataset(tmp_path)["one-00c0ffee"]


@pytest.mark.parametrize(
    "lens",
    [PINHOLE, Lens(model="fisheye", coefficients=(0.02, -0.01, 0.003, -0.0005), max_angle_rad=1.0)],
    ids=lambda lens: lens.model,
)
def test_a_painted_box_covers_its_projection_in_its_colours(tmp_path: Path, lens: Lens) -> None:
    scene = only_agent(tmp_path, 1, place_m=(14.0, 0.0), heading_rad=2.0, lens=lens)
    (camera,) = scene.rig.cameras
    agent = scene.layout.agents[0]
    picture = WorldScenarioPainter(scene).paint(0, camera)
    corners = box_corners_world_m(agent.center_world_m[0], agent.size_lwh_m, heading_rad=agent.heading_rad[0])
    ends_px, _ = project_edges(corners, camera, world_from_ego=scene.ego2global[0])
    rows, columns = np.nonzero(picture.any(axis=2))
    low, high = ends_px.reshape(-1, 2).min(axis=0), ends_px.reshape(-1, 2).max(axis=0)
    assert np.abs(np.array([columns.min(), rows.min()]) - np.clip(low, 0, camera.size_px)).max() <= 1.5
    assert np.abs(np.array([columns.max() + 1, rows.max() + 1]) - np.clip(high, 0, camera.size_px)).max() <= 1.5
    inside = picture[rows, columns].astype(int)
    is_edge = (inside == 200).all(axis=1)
    assert 0.05 < is_edge.mean() < 0.6
    red, blue = inside[~is_edge, 0], inside[~is_edge, 2]
    assert red.min() >= 204 and blue.max() <= 64, "a truck: from (204, 55, 0) at the front to (255, 192, 64)"
    assert len(np.unique(inside[~is_edge], axis=0)) >= 3, "a gradient"


def test_a_box_half_behind_the_camera_is_cut_not_flipped(tmp_path: Path) -> None:
    scene = only_agent(tmp_path, 2, place_m=(1.0, 3.0), heading_rad=0.0)
    painted = WorldScenarioPainter(scene).paint(0, scene.rig.cameras[0]).any(axis=2)
    columns = np.nonzero(painted.any(axis=0))[0]
    assert columns.min() == 0
    far_right_px = 80.0 - 1.7 / 5.5 * scene.rig.cameras[0].K[0, 0]
    assert abs(columns.max() + 1 - far_right_px) <= 1.5, "the bus ends 5.5 m ahead of the camera, 1.7 m to its left"


def test_the_map_lies_under_the_boxes_and_on_the_ground(exported: Path, labelled_dataset: Path) -> None:
    scene = open_dataset(labelled_dataset)[SCENE_ID]
    front = scene.rig.cameras[0]
    picture = WorldScenarioPainter(scene).paint(0, front)
    assert not picture[: front.size_px[1] // 2 - 6, 20].any(), "nothing above the road but boxes"
    colors = {tuple(rgb) for rgb in picture.reshape(-1, 3).tolist()}
    assert {(139, 93, 255), (253, 1, 232)} <= colors


@pytest.mark.parametrize(
    ("yaws_deg", "expected"),
    [
        ({"A": 0.0}, {"A": "camera:front:wide:120fov"}),
        ({"F": 0.0, "B": 180.0}, {"F": "camera:front:wide:120fov", "B": "camera:rear:tele:30fov"}),
    ],
)
def test_views_are_named_by_direction(yaws_deg: dict[str, float], expected: dict[str, str]) -> None:
    base = {camera.name: camera for camera in tiny_rig().cameras}
    of_yaw = {0.0: base["CAM_FRONT"], 180.0: base["CAM_BACK"]}
    cameras = tuple(dataclasses.replace(of_yaw[yaw], name=name) for name, yaw in yaws_deg.items())
    assert name_views(CameraRig(name="rig", cameras=cameras)) == expected


def test_the_six_cameras_of_nuscenes_get_six_standard_names() -> None:
    names = name_views(tiny_rig())
    assert names["CAM_FRONT_LEFT"] == "camera:cross:left:120fov"
    assert names["CAM_BACK_RIGHT"] == "camera:rear:right:70fov"
    assert len(set(names.values())) == 6 and all(name.count(":") == 3 for name in names.values())


def test_a_ninth_camera_keeps_its_own_name() -> None:
    base = tiny_rig().cameras[0]
    rig = CameraRig(name="many", cameras=tuple(dataclasses.replace(base, name=f"C{idx}") for idx in range(9)))
    names = list(name_views(rig).values())
    assert len(set(names)) == 9
    assert sum(name.removeprefix("camera:c").isdigit() for name in names) == 2


@pytest.mark.parametrize(
    ("lens", "tolerance_px"),
    [
        (Lens(model="fisheye", coefficients=(0.02, -0.01, 0.003, -0.0005), max_angle_rad=1.2), 0.05),
        (Lens(model="f_theta", coefficients=(0.0, 28.0, 0.5, -1.0, 0.2), max_angle_rad=1.2), 0.05),
        (Lens(model="brown_conrady", coefficients=(-0.1, 0.01, 0.0, 0.0), max_angle_rad=0.9), 0.05),
    ],
    ids=lambda value: getattr(value, "model", None),
)
def test_other_lenses_are_fitted_to_a_fraction_of_a_pixel(lens: Lens, tolerance_px: float) -> None:
    base = tiny_rig().cameras[0]
    focal_px = lens.coefficients[1] if lens.model == "f_theta" else base.K[0, 0]
    K = np.array([[focal_px, 0.0, 20.0], [0.0, focal_px, 12.0], [0.0, 0.0, 1.0]])
    camera = Camera(name="C", K=K, ego_from_cam=base.ego_from_cam, size_px=(40, 24), lens=lens)
    assert fit_lens(camera).largest_error_px < tolerance_px


def test_an_edge_between_two_areas_is_one_line() -> None:
    picture = np.zeros((20, 30, 3), np.uint8)
    picture[:, 15:] = 200
    edges = edge_picture(picture)
    assert (edges[:, :, 0] == 255).sum(axis=1).tolist() == [1] * 20
    assert set(np.nonzero(edges[:, :, 0])[1].tolist()) <= {14, 15}
    assert not edge_picture(np.full((20, 30, 3), 90, np.uint8)).any()


def test_segmentation_tells_agents_apart_and_shows_classes() -> None:
    semantic = np.array([[4, 4, 11, 17]], np.uint8)
    instance = np.array([[1, 2, 0, 0]], np.uint16)
    picture = segmentation_picture(semantic, instance)
    assert tuple(picture[0, 0]) == agent_rgb(1) != agent_rgb(2) == tuple(picture[0, 1])
    assert tuple(picture[0, 2]) == (0, 207, 191)
