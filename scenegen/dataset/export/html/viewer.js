"use strict";
const scene = JSON.parse(document.getElementById("data").textContent);
const slider = document.getElementById("moment");
const bev = document.getElementById("bev");
const NARROWEST_VIEW_PX = 640;
const RANGE_M = 80, EGO_FROM_BOTTOM = 0.36, EGO_LENGTH_M = 4.6, EGO_WIDTH_M = 1.9, EGO_AHEAD_M = 1.4;
const views = scene.cameras.map(addView);
const tracks = collectTracks();
let newest = 0;

function rgb(color, alpha = 1) { return `rgba(${color.join(",")},${alpha})`; }
function colorOf(box) { return scene.categories[box.category].rgb; }

function addView(camera) {
  const figure = document.createElement("figure");
  const canvas = document.createElement("canvas");
  const caption = document.createElement("figcaption");
  const zoom = Math.max(1, NARROWEST_VIEW_PX / camera.size[0]);
  canvas.width = Math.round(zoom * camera.size[0]);
  canvas.height = Math.round(zoom * camera.size[1]);
  figure.append(canvas, caption);
  document.getElementById("views").append(figure);
  return { canvas, caption, zoom, name: camera.name };
}

function collectTracks() {
  const found = new Map();
  for (const moment of scene.moments)
    for (const box of moment.boxes) {
      if (!found.has(box.track)) found.set(box.track, { color: colorOf(box), points: [] });
      found.get(box.track).points.push(box.center);
    }
  return found;
}

function show(index) {
  const moment = scene.moments[index];
  slider.value = index;
  newest = index;
  document.getElementById("when").textContent =
    `step ${moment.step}, ${moment.seconds.toFixed(2)} s, ego ${(3.6 * moment.speed).toFixed(0)} km/h`;
  views.forEach((view, number) => drawView(view, moment, number, index));
  drawBev(moment);
  listAgents(moment);
}

function drawView(view, moment, number, index) {
  const picture = new Image();
  picture.onload = () => {
    if (index !== newest) return;
    const context = view.canvas.getContext("2d");
    const { width, height } = view.canvas;
    context.drawImage(picture, 0, 0, width, height);
    const seen = moment.boxes2d[number];
    view.caption.textContent = seen === null ? `${view.name}: no 2-D boxes stored` : `${view.name}: ${seen.length} agents`;
    if (seen === null || !document.getElementById("show").checked) return;
    const unit = Math.max(1, width / 480);
    context.font = `${Math.round(11 * unit)}px system-ui, sans-serif`;
    for (const [boxIndex, ...rest] of seen) {
      const [x1, y1, x2, y2] = rest.slice(0, 4).map((edge) => edge * view.zoom);
      const box = moment.boxes[boxIndex];
      context.strokeStyle = rgb(colorOf(box));
      context.lineWidth = 1.5 * unit;
      context.setLineDash(rest[4] < 0.4 ? [4 * unit, 3 * unit] : []);
      context.strokeRect(x1, y1, x2 - x1, y2 - y1);
      if (y2 - y1 > 0.12 * height) label(context, `${scene.categories[box.category].name} ${box.track}`, x1, y1, unit, colorOf(box));
    }
    context.setLineDash([]);
  };
  picture.src = moment.pictures[number];
}

function label(context, text, x, y, unit, color) {
  const top = Math.max(0, y - 14 * unit);
  context.fillStyle = "rgba(16,17,19,0.75)";
  context.fillRect(x, top, context.measureText(text).width + 6 * unit, 14 * unit);
  context.fillStyle = rgb(color);
  context.fillText(text, x + 3 * unit, top + 11 * unit);
}

function drawBev(moment) {
  const context = bev.getContext("2d"), size = bev.width, scale = size / RANGE_M;
  context.setTransform(1, 0, 0, 1, 0, 0);
  context.fillStyle = "rgb(33,38,36)";
  context.fillRect(0, 0, size, size);
  const [egoX, egoY, heading] = moment.ego;
  const cos = Math.cos(heading), sin = Math.sin(heading);
  // world to pixels: the ego's x points up, its y to the left
  context.setTransform(
    scale * sin, -scale * cos, -scale * cos, -scale * sin,
    0.5 * size - scale * (sin * egoX - cos * egoY),
    (1 - EGO_FROM_BOTTOM) * size + scale * (cos * egoX + sin * egoY));
  drawMap(context);
  const line = 1.5 / scale;
  polyline(context, scene.path, "rgba(80,220,120,0.6)", line);
  for (const track of tracks.values())
    polyline(context, track.points, rgb(track.color, 0.45), line);
  for (const box of moment.boxes) drawBox(context, box, line);
  drawBox(context, { center: [egoX + EGO_AHEAD_M * cos, egoY + EGO_AHEAD_M * sin], yaw: heading,
    size: [EGO_LENGTH_M, EGO_WIDTH_M] }, line, [80, 220, 120]);
}

function drawMap(context) {
  for (const lane of scene.lanes) polyline(context, lane.points, rgb(lane.rgb), lane.width);
  for (const area of scene.areas) {
    context.beginPath();
    for (const ring of area.rings) {
      ring.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
      context.closePath();
    }
    context.fillStyle = rgb(area.rgb);
    context.fill("evenodd");
  }
  for (const line of scene.lines) {
    context.setLineDash(line.dash);
    polyline(context, line.points, rgb(line.rgb), 0.2);
  }
  context.setLineDash([]);
}

function polyline(context, points, style, width) {
  context.beginPath();
  points.forEach(([x, y], index) => (index ? context.lineTo(x, y) : context.moveTo(x, y)));
  context.strokeStyle = style;
  context.lineWidth = width;
  context.stroke();
}

function drawBox(context, box, line, color = null) {
  const tint = color ?? colorOf(box);
  context.save();
  context.translate(box.center[0], box.center[1]);
  context.rotate(box.yaw);
  const [length, width] = box.size;
  context.fillStyle = rgb(tint, 0.65);
  context.strokeStyle = rgb(tint);
  context.lineWidth = line;
  context.fillRect(-length / 2, -width / 2, length, width);
  context.strokeRect(-length / 2, -width / 2, length, width);
  context.strokeStyle = "white";
  context.beginPath();
  context.moveTo(length / 2, -width / 2);
  context.lineTo(length / 2, width / 2);
  context.stroke();
  context.restore();
}

function listAgents(moment) {
  const table = document.createElement("table");
  const head = table.createTHead().insertRow();
  const texts = ["agent", "category", "attribute"];
  for (const title of [...texts, "distance", "km/h", "visible", "LiDAR", "found"]) {
    const cell = document.createElement("th");
    cell.className = texts.includes(title) ? "text" : "number";
    cell.textContent = title;
    head.append(cell);
  }
  const body = table.createTBody();
  const distance = (box) => Math.hypot(box.center[0] - moment.ego[0], box.center[1] - moment.ego[1]);
  for (const box of [...moment.boxes].sort((a, b) => distance(a) - distance(b)).slice(0, 30)) {
    const row = body.insertRow();
    const name = row.insertCell();
    name.className = "name";
    const swatch = document.createElement("span");
    swatch.className = "swatch";
    swatch.style.background = rgb(colorOf(box));
    name.append(swatch, scene.agents[box.track]);
    row.insertCell().textContent = scene.categories[box.category].name;
    row.insertCell().textContent = box.attribute;
    const values = [`${distance(box).toFixed(1)} m`, (3.6 * box.speed).toFixed(0), `${(100 * box.visible).toFixed(0)} %`,
      box.points ?? "", box.found === null ? "" : `${(100 * box.found).toFixed(0)} %`];
    for (const text of values) {
      const cell = row.insertCell();
      cell.className = "number";
      cell.textContent = text;
    }
  }
  const rest = moment.boxes.length - body.rows.length;
  const note = document.createElement("p");
  note.className = "dim";
  note.textContent = rest > 0 ? `and ${rest} farther away` : "";
  document.getElementById("agents").replaceChildren(table, note);
}

let timer = null;
function togglePlay() {
  const button = document.getElementById("play");
  if (timer !== null) {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
    return;
  }
  timer = setInterval(() => show((newest + 1) % scene.moments.length), 500);
  button.textContent = "Stop";
}

slider.max = scene.moments.length - 1;
slider.addEventListener("input", () => show(Number(slider.value)));
document.addEventListener("keydown", (event) => {
  const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (way === undefined || ["INPUT", "VIDEO"].includes(event.target.tagName)) return;
  show(Math.min(Math.max(newest + way, 0), scene.moments.length - 1));
});
document.getElementById("play").addEventListener("click", togglePlay);
document.getElementById("show").addEventListener("change", () => show(newest));
show(0);
