"""Triangle meshes in centimetres, z up: solids of revolution, shells, rounded boxes, tubes, cushions.

Every solid is closed once vertices at the same place are taken as one. Knows nothing of materials or light.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.floating[Any]]
Cells = NDArray[np.bool_]


@dataclass(frozen=True)
class Mesh:
    """vertices (n, 3), faces (m, 3) of vertex indices, uv (n, 2) in [0, 1]; `smooth` asks for vertex normals."""

    vertices: Points
    faces: NDArray[np.int64]
    uv: Points
    smooth: bool = True

    def moved(
        self,
        offset: Sequence[float] | Points = (0, 0, 0),
        *,
        turn: Sequence[float] | Points = (0, 0, 0),
        scale: float | Sequence[float] = 1.0,
    ) -> Mesh:
        """Return the mesh scaled, turned by degrees about x, then y, then z, and moved."""
        vertices = self.vertices * np.asarray(scale, float)
        return replace(self, vertices=vertices @ turning(turn).T + np.asarray(offset, float))


def turning(degrees: Sequence[float] | Points) -> Points:
    """Return the 3 x 3 rotation about x, then y, then z."""
    a, b, c = np.radians(np.asarray(degrees, float))
    rx = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    ry = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    rz = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    return np.asarray(rz @ ry @ rx)


def welded(mesh: Mesh) -> NDArray[np.int64]:
    """Return the faces over places instead of vertices, without those that have no area."""
    _, place = np.unique(np.round(mesh.vertices, 6), axis=0, return_inverse=True)
    faces = np.asarray(place).reshape(-1)[mesh.faces]
    distinct = (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    return np.asarray(faces[distinct], np.int64)


def is_closed(mesh: Mesh) -> bool:
    """Return whether every edge is walked once in each direction."""
    faces = welded(mesh)
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    there, n_there = np.unique(edges, axis=0, return_counts=True)
    back, n_back = np.unique(edges[:, ::-1], axis=0, return_counts=True)
    return bool(there.shape == back.shape and (there == back).all() and (n_there == n_back).all())


def vertex_normals(mesh: Mesh) -> Points:
    """Return unit normals, one for all vertices at a place, weighted by area."""
    _, place = np.unique(np.round(mesh.vertices, 6), axis=0, return_inverse=True)
    place = np.asarray(place).reshape(-1)
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    normals = np.cross(b - a, c - a)
    total = np.zeros((place.max() + 1, 3))
    for k in range(3):
        np.add.at(total, place[mesh.faces[:, k]], normals)
    total /= np.linalg.norm(total, axis=1, keepdims=True) + 1e-12
    return np.asarray(total[place])


def merge(meshes: Sequence[Mesh]) -> Mesh:
    offsets = np.cumsum([0, *[len(mesh.vertices) for mesh in meshes[:-1]]])
    return Mesh(
        np.concatenate([mesh.vertices for mesh in meshes]),
        np.concatenate([mesh.faces + offset for mesh, offset in zip(meshes, offsets, strict=True)]),
        np.concatenate([mesh.uv for mesh in meshes]),
        all(mesh.smooth for mesh in meshes),
    )


def grid_faces(n_rows: int, n_columns: int, keep: Cells | None = None) -> NDArray[np.int64]:
    """Return two triangles for each kept cell of a grid of vertices."""
    rows, columns = np.nonzero(np.ones((n_rows - 1, n_columns - 1), bool) if keep is None else keep)
    a = rows * n_columns + columns
    b, c, d = a + 1, a + n_columns + 1, a + n_columns
    return np.concatenate([np.stack([a, b, c], 1), np.stack([a, c, d], 1)]).astype(np.int64)


def sheet(grid: Points, *, smooth: bool = True) -> Mesh:
    """Return an open surface over a grid of points (rows, columns, 3)."""
    n_rows, n_columns = grid.shape[:2]
    v, u = np.meshgrid(np.linspace(1, 0, n_rows), np.linspace(0, 1, n_columns), indexing="ij")
    return Mesh(grid.reshape(-1, 3), grid_faces(n_rows, n_columns), np.stack([u, v], -1).reshape(-1, 2), smooth)


def plane(width: float, depth: float, *, repeat: float = 1.0) -> Mesh:
    x, y = np.meshgrid(np.linspace(-width / 2, width / 2, 2), np.linspace(depth / 2, -depth / 2, 2))
    flat = flipped(sheet(np.stack([x, y, 0 * x], -1)))
    return replace(flat, uv=flat.uv * repeat)


def rounded(profile: Sequence[Sequence[float]], *, times: int = 3) -> Points:
    """Return the polyline with its corners cut (Chaikin), ends kept."""
    line = np.asarray(profile, float)
    for _ in range(times):
        near, far = 0.75 * line[:-1] + 0.25 * line[1:], 0.25 * line[:-1] + 0.75 * line[1:]
        line = np.concatenate([line[:1], np.stack([near, far], 1).reshape(-1, 2), line[-1:]])
    return line


def resampled(line: Points, n: int) -> Points:
    """Return n points at equal steps along the polyline."""
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.linspace(0, along[-1], n)
    return np.stack([np.interp(at, along, line[:, k]) for k in range(line.shape[1])], 1)


def swept(profile: Points, n_around: int) -> Points:
    """Return the grid (points of the profile, n_around + 1, 3) of radius and height turned about z."""
    angle = np.linspace(0, 2 * np.pi, n_around + 1)
    angle[-1] = 0.0
    radius, height = profile[:, :1], profile[:, 1:]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), height + 0 * angle], -1)


def revolve(profile: Sequence[Sequence[float]], *, n_around: int = 96, n_along: int = 120, soft: int = 3) -> Mesh:
    """Return the solid whose (radius, height) outline runs from axis to axis, top first."""
    line = resampled(rounded(profile, times=soft), n_along) if soft else np.asarray(profile, float)
    line[[0, -1], 0] = 0.0
    return flipped(sheet(swept(line, n_around)))


def flipped(mesh: Mesh) -> Mesh:
    return replace(mesh, faces=mesh.faces[:, ::-1])


@dataclass(frozen=True)
class Shell:
    """A wall between two grids (rows, columns + 1, 3), rim in row 0 and axis in the last; columns close round."""

    outer: Points
    inner: Points

    def centres(self) -> Points:
        """Return the middle of each cell, (rows - 1, columns, 3)."""
        mid = (self.outer + self.inner) / 2
        return np.asarray((mid[:-1, :-1] + mid[1:, :-1] + mid[:-1, 1:] + mid[1:, 1:]) / 4)


def vessel(profile: Sequence[Sequence[float]], *, wall: float, floor: float | None = None, **size: int) -> Shell:
    """Return the shell of a vessel whose outer outline runs from the rim down to the axis at the foot."""
    n_along, n_around = size.get("n_along", 140), size.get("n_around", 220)
    outer = resampled(rounded(profile), n_along)
    outer[-1, 0] = 0.0
    along = np.linalg.norm(np.diff(outer, axis=0), axis=1).cumsum()
    along = np.concatenate([[0.0], along])
    tangent = np.gradient(outer, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    normal = np.stack([tangent[:, 1], -tangent[:, 0]], 1)
    near_rim = np.clip(along / wall, 0, 1)
    thickness = wall * np.sqrt(1 - (1 - near_rim) ** 2)
    if floor is not None:
        share = np.clip(along / along[-1], 0, 1) ** 6
        thickness = thickness * (1 - share) + floor * share
    inner = outer + normal * thickness[:, None]
    inner[:, 0] = np.maximum(inner[:, 0], 0.0)
    inner[-1, 0] = 0.0
    return Shell(swept(outer, n_around), swept(inner, n_around))


def shell_parts(shell: Shell, keep: Cells | None = None) -> tuple[Mesh, Mesh | None]:
    """Return the kept part of a shell and the rough faces where it broke; together they are closed.

    keep : shape (rows - 1, columns), None for the whole shell
    """
    rows, columns = shell.outer.shape[0], shell.outer.shape[1] - 1
    outer, inner = shell.outer, shell.inner
    if keep is not None:
        outer, inner = _evened(outer, keep), _evened(inner, keep)
    skin = flipped(sheet(outer))
    lining = sheet(inner)
    kept = grid_faces(rows, columns + 1, keep)
    body = _compact(merge([replace(skin, faces=kept[:, ::-1]), replace(lining, faces=kept)]))
    if keep is None or keep.all():
        return body, None
    quads = []
    padded = np.vstack([np.zeros((1, columns), bool), keep, np.zeros((1, columns), bool)])
    for i, j in zip(*np.nonzero(padded[1:] != padded[:-1]), strict=True):
        a, b = (i, j), (i, j + 1)
        quads.append((a, b) if padded[i + 1, j] else (b, a))
    for i, j in zip(*np.nonzero(keep != np.roll(keep, 1, axis=1)), strict=True):
        a, b = (i, j), (i + 1, j)
        quads.append((b, a) if keep[i, j] else (a, b))
    corners = np.array([[outer[a], outer[b], inner[b], inner[a]] for a, b in quads]).reshape(-1, 3)
    start = 4 * np.arange(len(quads))[:, None]
    faces = np.concatenate([start + np.array([0, 1, 2]), start + np.array([0, 2, 3])])
    return body, Mesh(corners, faces, np.zeros((len(corners), 2)), smooth=False)


def _compact(mesh: Mesh) -> Mesh:
    """Return the mesh without the vertices that no face uses."""
    used, faces = np.unique(mesh.faces, return_inverse=True)
    return Mesh(mesh.vertices[used], faces.reshape(-1, 3).astype(np.int64), mesh.uv[used], mesh.smooth)


def _evened(grid: Points, keep: Cells, *, passes: int = 4) -> Points:
    """Return the grid with the steps of the break smoothed along it."""
    rows, columns = grid.shape[0], grid.shape[1] - 1
    points = grid[:, :columns].copy()
    links: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for i, j in zip(*np.nonzero(keep[1:] != keep[:-1]), strict=True):
        a, b = (i + 1, j), (i + 1, (j + 1) % columns)
        links.setdefault(a, []).append(b)
        links.setdefault(b, []).append(a)
    for i, j in zip(*np.nonzero(keep != np.roll(keep, 1, axis=1)), strict=True):
        a, b = (i, j), (i + 1, j)
        links.setdefault(a, []).append(b)
        links.setdefault(b, []).append(a)
    inside = {at: near for at, near in links.items() if 0 < at[0] < rows - 1}
    for _ in range(passes):
        points_before = points.copy()
        for at, near in inside.items():
            points[at] = 0.5 * points_before[at] + 0.5 * np.mean([points_before[k] for k in near], axis=0)
    return np.concatenate([points, points[:, :1]], axis=1)


def box(width: float, depth: float, height: float, *, bevel: float = 0.1, n: int = 12) -> Mesh:
    """Return a rounded box standing on z = 0; uv is an atlas of 3 x 2: front, right, back / left, top, bottom."""
    half = np.array([width, depth, height]) / 2
    bevel = min(bevel, float(half.min()) * 0.98)
    sides = [
        ((0, 1), (0, 2, 1), -1, 1),
        ((1, 1), (1, 2, 0), 1, 1),
        ((2, 1), (0, 2, 1), 1, -1),
        ((0, 0), (1, 2, 0), -1, -1),
        ((1, 0), (0, 1, 2), 1, 1),
        ((2, 0), (0, 1, 2), -1, -1),
    ]
    found = []
    for cell, (across, up, out), side, direction in sides:
        s = _edge_steps(half[across], bevel, n) * direction
        t = _edge_steps(half[up], bevel, n)
        grid = np.zeros((len(t), len(s), 3))
        grid[..., across], grid[..., up] = np.meshgrid(s, t[::-1])
        grid[..., out] = side * half[out]
        core = np.clip(grid, -(half - bevel), half - bevel)
        away = grid - core
        grid = core + bevel * away / np.linalg.norm(away, axis=-1, keepdims=True)
        part = flipped(sheet(grid))
        u = (np.abs(s - s[0]) / (2 * half[across]))[None, :] + 0 * t[:, None]
        v = (t[::-1][:, None] / half[up] + 1) / 2 + 0 * s[None, :]
        uv = np.stack([(cell[0] + 0.02 + 0.96 * u) / 3, (cell[1] + 0.02 + 0.96 * v) / 2], -1).reshape(-1, 2)
        found.append(replace(part, uv=uv))
    return merge(found).moved((0, 0, height / 2))


def _edge_steps(half: float, bevel: float, n: int) -> Points:
    edge = half - bevel + bevel * np.linspace(0, 1, 5)
    return np.concatenate([-edge[::-1], np.linspace(-half + bevel, half - bevel, n + 1)[1:-1], edge])


def sphere(radius: float, *, n: int = 48, displace: Callable[[Points], Points] | None = None) -> Mesh:
    """Return a sphere about the origin; `displace` maps unit directions (.., 3) to factors of the radius."""
    polar = np.linspace(0, np.pi, n)
    grid = swept(np.stack([np.sin(polar), np.cos(polar)], 1), 2 * n)
    grid[[0, -1], :, :2] = 0.0
    factor = 1.0 if displace is None else displace(grid)[..., None]
    return flipped(sheet(grid * factor * radius))


def tube(
    path: Sequence[Sequence[float]] | Points, radius: float | Points, *, n_around: int = 20, n_along: int = 60
) -> Mesh:
    """Return a capped tube along a path (k, 3); u runs along it, so that wood grain does too."""
    line = resampled(np.asarray(path, float), n_along)
    radii = np.interp(np.linspace(0, 1, n_along), np.linspace(0, 1, np.size(radius)), np.atleast_1d(radius))
    tangent = np.gradient(line, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-9
    side = np.cross(tangent[0], [0.3, 0.5, 0.81])
    angle = np.linspace(0, 2 * np.pi, n_around + 1)
    angle[-1] = 0.0
    rings = []
    for centre, ahead, r in zip(line, tangent, radii, strict=True):
        side = side - ahead * float(side @ ahead)
        side /= np.linalg.norm(side)
        up = np.cross(ahead, side)
        rings.append(centre + r * (np.outer(np.cos(angle), side) + np.outer(np.sin(angle), up)))
    ends = [np.repeat(line[[k]], n_around + 1, axis=0) for k in (0, -1)]
    mesh = sheet(np.stack([ends[0], *rings, ends[1]]))
    return replace(mesh, uv=mesh.uv[:, ::-1] * [1.0, 0.35])


def cushion(width: float, depth: float, height: float, *, n: int = 70, wrinkle: Points | None = None) -> Mesh:
    """Return a stuffed pillow lying on z = 0; `wrinkle` (n, n) is added to its upper side."""
    s = np.sin(np.linspace(-np.pi / 2, np.pi / 2, n))
    u, v = np.meshgrid(s, s)
    dome = np.clip((1 - u**2) * (1 - v**2), 0, 1) ** 0.42
    pinch = 1 - 0.09 * (1 - np.abs(np.stack([v, u])) ** 2) * np.abs(np.stack([u, v])) ** 3
    x, y = u * pinch[0] * width / 2, v * pinch[1] * depth / 2
    rough = 0 if wrinkle is None else wrinkle * dome
    upper = sheet(np.stack([x, y, height / 2 * (1 + dome) + rough], -1))
    lower = flipped(sheet(np.stack([x, y, height / 2 * (1 - dome)], -1)))
    return merge([upper, lower])
