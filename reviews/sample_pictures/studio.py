"""A small studio: light, table, wall and turned objects, drawn with arrays.

Everything is a float picture (height, width, 3), 0 to 1, twice as large as what is saved.  Lengths are shares of the
picture's height; `x` runs from the middle, `y` from the top.  The light comes from the upper left.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

Array = NDArray[np.floating[Any]]
Colour = tuple[float, float, float]
# A turned shape: (share of the height from the foot up, radius as a share of the height).
Profile = Sequence[tuple[float, float]]

WIDTH, HEIGHT, FINER = 640, 480, 1
LIGHT = np.array([-0.5, -0.55, 0.67], np.float32)


@dataclass(slots=True)
class Turned:
    """A turned shape as it falls on the picture: where it is, how thick, and which way its surface faces."""

    mask: Array  # 0 to 1
    across: Array  # -1 at the left edge, 1 at the right
    up: Array  # 0 at the foot, 1 at the top
    normal: Array  # (height, width, 3)


@cache
def grid() -> tuple[Array, Array]:
    """The x and y of every pixel."""
    size = (HEIGHT * FINER, WIDTH * FINER)
    rows, columns = np.mgrid[0 : size[0], 0 : size[1]].astype(np.float32)
    return (columns - size[1] / 2) / size[0], rows / size[0]


def flat(colour: Colour) -> Array:
    """A picture of one colour."""
    return np.broadcast_to(np.array(colour, np.float32), (HEIGHT * FINER, WIDTH * FINER, 3)).copy()


def mix(below: Array, above: Array | Colour, share: Array) -> Array:
    """`above` over `below`, 0 to 1 of it at each pixel."""
    rows, columns = (np.flatnonzero(share.any(axis)) for axis in (1, 0))
    if not rows.size:
        return below
    # Most of what is drawn is small: the rest of the picture is left alone.
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    weight = share[box][..., None]
    cover = above[box] if isinstance(above, np.ndarray) and above.ndim == 3 else np.asarray(above, np.float32)
    picture = below.copy()
    picture[box] = below[box] * (1 - weight) + cover * weight
    return picture


def step(edge0: float, edge1: float, value: Array) -> Array:
    """0 below the first edge, 1 above the second, smooth between."""
    t: Array = np.clip((value - edge0) / (edge1 - edge0), 0, 1)
    return t * t * (3 - 2 * t)


def blur(values: Array, radius: float) -> Array:
    """Gaussian blur of one channel in 0 to 1; the radius is a share of the height."""
    image = Image.fromarray(np.clip(values * 255, 0, 255).astype(np.uint8))
    return np.asarray(image.filter(ImageFilter.GaussianBlur(radius * HEIGHT * FINER)), np.float32) / 255


def noise(random: np.random.Generator, across: int, down: int) -> Array:
    """Smooth random values, 0 to 1, with so many bumps across and down."""
    small = Image.fromarray(random.integers(0, 256, (down, across), dtype=np.uint8))
    return np.asarray(small.resize((WIDTH * FINER, HEIGHT * FINER), Image.Resampling.BICUBIC), np.float32) / 255


def clouds(random: np.random.Generator, stretch: float = 1.0) -> Array:
    """Noise of several sizes added up, 0 to 1."""
    layers = [noise(random, int(3 * 2**k), max(2, int(3 * 2**k * stretch))) / 2**k for k in range(6)]
    total: Array = np.sum(layers, axis=0)
    low, high = float(total.min()), float(total.max())
    return (total - low) / (high - low)


def polygon(points: Sequence[tuple[float, float]]) -> Array:
    """A mask of what the points enclose."""
    image = Image.new("L", (WIDTH * FINER, HEIGHT * FINER))
    scale = HEIGHT * FINER
    ImageDraw.Draw(image).polygon([(x * scale + WIDTH * FINER / 2, y * scale) for x, y in points], fill=255)
    return np.asarray(image, np.float32) / 255


def ellipse(x: float, y: float, width: float, height: float, soft: float = 0.002) -> Array:
    """A mask of an ellipse with the given half-axes."""
    xs, ys = grid()
    distance = np.hypot((xs - x) / width, (ys - y) / height)
    return 1 - step(1 - soft / width, 1 + soft / width, distance)


def room(random: np.random.Generator, wall: Colour, wood: Colour, edge: float = 0.66) -> Array:
    """An out-of-focus wall with lights in it, above a wooden table whose far edge is at `edge`."""
    xs, ys = grid()
    picture = flat(wall) * (1.15 - 0.5 * np.hypot(xs + 0.25, ys - 0.25))[..., None]
    for _ in range(14):
        x, y, size = random.uniform(-0.7, 0.7), random.uniform(0, edge), random.uniform(0.02, 0.07)
        tint = np.minimum(1, np.array(wall) * random.uniform(1.2, 2.2, 3))
        picture = mix(picture, tint, ellipse(x, y, size, size, 0.01) * float(random.uniform(0.05, 0.3)))
    depth = np.clip((ys - edge) / (1 - edge), 0, 1)
    grain = clouds(random, 8) * 0.5 + noise(random, 6, 220) * 0.5
    planks = 0.86 + 0.14 * step(0.01, 0.03, np.abs(np.mod(xs / (0.35 + 0.65 * depth) * 2.2, 1) - 0.5))
    table = flat(wood) * ((0.62 + 0.5 * grain) * planks * (0.75 + 0.35 * depth))[..., None]
    return mix(picture, table, step(edge - 0.004, edge + 0.004, ys))


def turned(profile: Profile, x: float, foot: float, height: float) -> Turned:
    """Put a turned shape with its foot at `y` = foot."""
    xs, ys = grid()
    up = (foot - ys) / height
    heights, radii = zip(*profile, strict=True)
    fine = np.linspace(0, 1, 400, dtype=np.float32)
    curve = _smooth(np.interp(fine, heights, radii), 13)
    radius = np.interp(up, fine, curve).astype(np.float32) * height
    slope = np.interp(up, fine, _smooth(np.gradient(curve, fine), 45)).astype(np.float32)
    across = np.clip((xs - x) / np.maximum(radius, 1e-4), -1.2, 1.2)
    # Seen from a little above: foot and rim bend like the near half of a circle.
    bent = up + 0.09 * radius / height * np.sqrt(np.clip(1 - across**2, 0, 1))
    mask = (1 - step(0.985, 1.005, np.abs(across))) * step(0, 0.004, bent) * (1 - step(0.996, 1, up))
    facing = np.sqrt(np.clip(1 - across**2, 0, 1))
    normal = np.stack([across, -slope * 0.8, facing], -1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    return Turned(mask.astype(np.float32), across, up.astype(np.float32), normal.astype(np.float32))


def _smooth(values: Array, window: int) -> Array:
    padded = np.pad(values, window // 2, "edge")
    return np.convolve(padded, np.ones(window) / window, "valid").astype(np.float32)


def shade(shape: Turned) -> Array:
    """How much light falls on it, 0 to 1."""
    return np.clip(shape.normal @ (LIGHT / np.linalg.norm(LIGHT)), 0, 1).astype(np.float32)


def window(shape: Turned, strength: float = 0.8) -> Array:
    """The reflection of a window at the left and a dimmer one at the right, as glass and glaze show them."""
    left = step(-0.78, -0.66, shape.across) * (1 - step(-0.52, -0.42, shape.across))
    right = step(0.7, 0.76, shape.across) * (1 - step(0.84, 0.88, shape.across)) * 0.45
    ends = step(0.03, 0.1, shape.up) * (1 - step(0.9, 0.97, shape.up))
    return ((left + right) * ends * strength * shape.mask).astype(np.float32)


def cast(picture: Array, x: float, foot: float, width: float, strength: float = 0.55) -> Array:
    """The shadow of something that stands there, falling to the right."""
    contact = ellipse(x, foot, width * 1.05, width * 0.22, 0.02)
    fall = ellipse(x + width * 1.5, foot + width * 0.16, width * 2.4, width * 0.2, 0.03)
    return mix(picture, (0.03, 0.02, 0.02), blur(np.maximum(contact, fall * 0.6), 0.012) * strength)


def glazed(picture: Array, shape: Turned, colour: Array | Colour, gloss: float = 0.6) -> Array:
    """Something opaque: glazed clay, a painted figure, dark glass."""
    base = flat(colour) if isinstance(colour, tuple) else colour
    lit = base * (0.25 + 0.85 * shade(shape))[..., None]
    return mix(mix(picture, lit, shape.mask), (1, 0.98, 0.94), window(shape, gloss))


def glass(picture: Array, shape: Turned, tint: Colour = (0.95, 0.97, 0.98), clear: float = 0.8) -> Array:
    """Something that shows what is behind it, darker towards the edges."""
    behind = np.roll(picture, 14, 1) * np.asarray(tint, np.float32)
    edge = (np.abs(shape.across) ** 6)[..., None]
    body = behind * (1 - 0.62 * edge) + 0.05
    return mix(mix(picture, body, shape.mask * (1 - (1 - clear) * 0.2)), (1, 1, 1), window(shape, 0.75))


def filled(picture: Array, shape: Turned, colour: Colour, low: float, high: float) -> Array:
    """The part of a glass between two heights holds a liquid; its surface shows as a paler ellipse."""
    inside = shape.mask * step(low, low + 0.01, shape.up) * (1 - step(high - 0.008, high + 0.002, shape.up))
    inside *= 1 - step(0.9, 0.96, np.abs(shape.across))
    light = 0.55 + 0.5 * step(-0.2, 0.9, shape.across) + 0.25 * (1 - np.abs(shape.across))
    return mix(picture, flat(colour) * light[..., None], inside * 0.93)


def finish(picture: Array, random: np.random.Generator, grain: float = 0.011) -> bytes:
    """Vignette, a warm curve, grain, half the size: a JPEG as a camera would write it."""
    xs, ys = grid()
    picture = picture * (1.06 - 0.55 * np.hypot(xs * 0.8, ys - 0.5) ** 2)[..., None]
    image = Image.fromarray((np.clip(picture, 0, 1) ** 0.92 * 255).astype(np.uint8))
    small = np.asarray(image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS), np.float32)
    small += random.normal(0, grain * 255, (HEIGHT, WIDTH, 1)) + random.normal(0, grain * 90, (HEIGHT, WIDTH, 3))
    out = BytesIO()
    Image.fromarray(np.clip(small, 0, 255).astype(np.uint8)).save(out, "JPEG", quality=88)
    return out.getvalue()


def band(values: Array, low: float, high: float, soft: float = 0.012) -> Array:
    """1 between the two edges, 0 outside."""
    return step(low - soft / 2, low + soft / 2, values) * (1 - step(high - soft / 2, high + soft / 2, values))


def table(random: np.random.Generator, wood: Colour) -> Array:
    """A wooden surface seen from above."""
    grain = clouds(random, 8) * 0.5 + noise(random, 5, 200) * 0.5
    return flat(wood) * (0.7 + 0.45 * grain)[..., None]


def brushed(random: np.random.Generator, colour: Colour) -> Array:
    """Ground metal or planed wood."""
    return flat(colour) * (0.75 + 0.3 * noise(random, 6, 240) + 0.15 * noise(random, 4, 3))[..., None]


def lying(picture: Array, points: Sequence[tuple[float, float]], surface: Array) -> Array:
    """Something flat with a bevelled edge, and its shadow below."""
    mask = polygon(points)
    inside = blur(mask, 0.012)
    shadow = np.roll(blur(mask, 0.016), (10 * FINER, 9 * FINER), (0, 1))
    lit = np.roll(inside, (3 * FINER, 3 * FINER), (0, 1)) - inside
    picture = mix(picture, (0.04, 0.03, 0.03), shadow * 0.55 * (1 - mask))
    return mix(picture, surface * (1 - 1.4 * lit)[..., None], blur(mask, 0.0015))
