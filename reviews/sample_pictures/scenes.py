"""The sample pictures: still lifes, toys and landscapes, each a function from a random generator to a picture."""

import zlib
from collections.abc import Callable, Mapping
from functools import cache
from types import MappingProxyType

import numpy as np

from reviews.sample_pictures import studio as s
from reviews.sample_pictures.studio import Array, Colour, Profile

WINE_BOTTLE: Profile = ((0, 0.125), (0.03, 0.132), (0.55, 0.132), (0.64, 0.12), (0.72, 0.055), (0.95, 0.042), (1, 0.05))
BEER_BOTTLE: Profile = ((0, 0.14), (0.03, 0.15), (0.5, 0.15), (0.6, 0.135), (0.74, 0.065), (0.95, 0.052), (1, 0.066))
SYRUP_BOTTLE: Profile = ((0, 0.15), (0.03, 0.16), (0.62, 0.16), (0.7, 0.13), (0.76, 0.04), (0.97, 0.03), (1, 0.04))
MILK_BOTTLE: Profile = ((0, 0.18), (0.03, 0.19), (0.5, 0.19), (0.68, 0.1), (0.9, 0.09), (0.92, 0.11), (1, 0.11))
TUMBLER: Profile = ((0, 0.2), (0.04, 0.21), (0.08, 0.2), (0.5, 0.24), (1, 0.28))
VASE: Profile = ((0, 0.16), (0.1, 0.22), (0.4, 0.33), (0.65, 0.28), (0.85, 0.13), (0.95, 0.14), (1, 0.18))
APPLE: Profile = tuple((up, 0.52 * max(0.0, 1 - ((up - 0.54) / 0.55) ** 2) ** 0.5) for up in np.linspace(0, 1, 40))
ROCKET: Profile = ((0, 0.09), (0.05, 0.1), (0.5, 0.13), (0.75, 0.11), (0.9, 0.06), (1, 0.002))
# fmt: off
WINE_GLASS: Profile = (
    (0, 0.2), (0.015, 0.19), (0.03, 0.03), (0.38, 0.022), (0.42, 0.06), (0.5, 0.16), (0.62, 0.215), (0.75, 0.225),
    (1, 0.17),
)
LIGHTHOUSE: Profile = (
    (0, 0.16), (0.6, 0.11), (0.62, 0.14), (0.66, 0.14), (0.67, 0.08), (0.8, 0.08), (0.82, 0.1), (1, 0.005),
)
GOBLET: Profile = (
    (0, 0.24), (0.03, 0.22), (0.08, 0.06), (0.2, 0.05), (0.26, 0.09), (0.3, 0.05), (0.42, 0.05), (0.5, 0.18),
    (0.65, 0.26), (1, 0.28),
)
PAWN: Profile = (
    (0, 0.28), (0.08, 0.29), (0.14, 0.22), (0.2, 0.24), (0.26, 0.13), (0.55, 0.09), (0.6, 0.16), (0.64, 0.11),
    (0.7, 0.15), (0.82, 0.19), (0.94, 0.13), (1, 0.01),
)
# fmt: on

RED_WINE: Colour = (0.28, 0.02, 0.05)
BEER: Colour = (0.86, 0.52, 0.1)
JUICE: Colour = (0.95, 0.6, 0.08)
OAK: Colour = (0.45, 0.28, 0.16)

Random = np.random.Generator


def bottle(
    picture: Array, x: float, foot: float, height: float, glass: Colour, label: Colour, profile: Profile
) -> Array:
    """A bottle of dark glass with a paper label and foil around its neck."""
    shape = s.turned(profile, x, foot, height)
    paper = s.band(shape.up, 0.14, 0.43) * s.band(shape.across, -0.92, 0.92)
    rules = s.band(shape.up, 0.36, 0.38) + s.band(shape.up, 0.18, 0.2)
    crest = s.ellipse(x, foot - height * 0.285, height * 0.045, height * 0.035)
    body = s.mix(s.flat(glass), label, paper)
    body = s.mix(body, (0.35, 0.12, 0.1), np.clip(rules * paper + crest, 0, 1) * 0.9)
    body = s.mix(body, (0.3, 0.04, 0.06), s.step(0.8, 0.81, shape.up))
    return s.glazed(s.cast(picture, x, foot, 0.13 * height), shape, body, 0.55)


def glass(picture: Array, x: float, foot: float, height: float, drink: Colour, profile: Profile, top: float) -> Array:
    """A glass filled up to the share `top` of its height."""
    shape = s.turned(profile, x, foot, height)
    picture = s.cast(picture, x, foot, 0.2 * height, 0.35)
    return s.glass(s.filled(picture, shape, drink, 0.06 if profile is TUMBLER else 0.45, top), shape)


def thing(
    picture: Array, x: float, foot: float, height: float, colour: Colour, profile: Profile, gloss: float
) -> Array:
    """Something turned and opaque."""
    shape = s.turned(profile, x, foot, height)
    return s.glazed(s.cast(picture, x, foot, 0.25 * height), shape, colour, gloss)


def apple(picture: Array, x: float, foot: float, size: float, colour: Colour) -> Array:
    """An apple with its stalk."""
    picture = thing(picture, x, foot, size, colour, APPLE, 0.25)
    stalk = [(x - 0.004, foot - size * 0.97), (x + 0.006, foot - size * 1.2), (x + 0.014, foot - size * 1.19)]
    return s.mix(picture, (0.2, 0.12, 0.06), s.polygon([*stalk, (x + 0.006, foot - size * 0.97)]))


def wine_evening(random: Random) -> Array:
    picture = s.room(random, (0.32, 0.24, 0.2), OAK)
    picture = bottle(picture, -0.2, 0.84, 0.72, (0.05, 0.13, 0.07), (0.9, 0.86, 0.74), WINE_BOTTLE)
    return glass(picture, 0.16, 0.88, 0.46, RED_WINE, WINE_GLASS, 0.68)


def beer_garden(random: Random) -> Array:
    picture = s.room(random, (0.2, 0.3, 0.3), (0.5, 0.33, 0.2))
    picture = bottle(picture, -0.22, 0.85, 0.62, (0.28, 0.13, 0.04), (0.86, 0.75, 0.4), BEER_BOTTLE)
    picture = glass(picture, 0.14, 0.88, 0.46, BEER, TUMBLER, 0.82)
    shape = s.turned(TUMBLER, 0.14, 0.88, 0.46)
    return s.mix(picture, (0.97, 0.94, 0.84), shape.mask * s.band(shape.up, 0.8, 0.97) * 0.9)


def juice(random: Random) -> Array:
    picture = s.room(random, (0.6, 0.66, 0.62), (0.62, 0.5, 0.36))
    picture = glass(picture, 0.1, 0.88, 0.42, JUICE, TUMBLER, 0.8)
    return apple(apple(picture, -0.28, 0.86, 0.2, (0.9, 0.5, 0.08)), -0.1, 0.92, 0.18, (0.92, 0.55, 0.1))


def milk(random: Random) -> Array:
    picture = thing(s.room(random, (0.5, 0.58, 0.62), OAK), -0.12, 0.86, 0.45, (0.95, 0.94, 0.9), MILK_BOTTLE, 0.6)
    return apple(apple(picture, 0.15, 0.88, 0.17, (0.8, 0.5, 0.1)), 0.32, 0.91, 0.18, (0.8, 0.2, 0.1))


def syrups(random: Random) -> Array:
    picture = s.room(random, (0.5, 0.46, 0.36), OAK)
    colours: tuple[Colour, ...] = ((0.6, 0.1, 0.1), (0.2, 0.5, 0.2), (0.2, 0.3, 0.7), (0.8, 0.6, 0.1))
    for place, colour in enumerate(colours):
        picture = thing(picture, -0.35 + 0.25 * place, 0.86 + 0.02 * place, 0.28, colour, SYRUP_BOTTLE, 0.6)
    return picture


def spritz(random: Random) -> Array:
    picture = s.room(random, (0.5, 0.6, 0.6), OAK)
    picture = glass(picture, 0.1, 0.88, 0.37, (0.95, 0.5, 0.15), WINE_GLASS, 0.7)
    return apple(picture, -0.2, 0.9, 0.17, (0.9, 0.5, 0.1))


def goblet(random: Random) -> Array:
    picture = s.room(random, (0.28, 0.14, 0.12), OAK)
    picture = thing(picture, -0.15, 0.88, 0.3, (0.85, 0.62, 0.2), GOBLET, 0.7)
    return apple(apple(picture, 0.12, 0.86, 0.16, (0.7, 0.1, 0.1)), 0.26, 0.9, 0.17, (0.5, 0.6, 0.1))


def vase(random: Random) -> Array:
    picture = s.room(random, (0.62, 0.62, 0.66), (0.66, 0.56, 0.44))
    for x, y in zip(random.uniform(-0.2, 0.2, 16), random.uniform(0.08, 0.36, 16), strict=True):
        stem = s.polygon([(x, y), (x + 0.008, y), (0.012, 0.5), (-0.004, 0.5)])
        picture = s.mix(picture, (0.16, 0.34, 0.14), stem)
        petals = random.uniform(0.4, 1), random.uniform(0.1, 0.4), random.uniform(0.2, 0.6)
        picture = s.mix(picture, petals, s.ellipse(x, y, 0.045, 0.04, 0.01))
        picture = s.mix(picture, (0.95, 0.8, 0.3), s.ellipse(x, y, 0.012, 0.011, 0.004))
    return thing(picture, 0, 0.88, 0.42, (0.16, 0.3, 0.62), VASE, 0.7)


def chess(random: Random) -> Array:
    picture = s.room(random, (0.24, 0.26, 0.3), (0.5, 0.36, 0.22))
    for x, foot, dark in ((-0.34, 0.8, 1), (0.3, 0.79, 1), (-0.08, 0.84, 0), (0.16, 0.92, 0), (-0.3, 0.95, 0)):
        picture = thing(picture, x, foot, 0.3 + foot / 6, (0.14, 0.1, 0.09) if dark else (0.86, 0.77, 0.6), PAWN, 0.5)
    return picture


def rocket(random: Random) -> Array:
    picture = s.room(random, (0.16, 0.2, 0.36), (0.5, 0.42, 0.34))
    fin = [(-0.16, 0.9), (-0.05, 0.6), (0.05, 0.6), (0.16, 0.9), (0.06, 0.84), (-0.06, 0.84)]
    picture = s.mix(s.cast(picture, 0, 0.88, 0.1), (0.62, 0.1, 0.1), s.polygon(fin))
    picture = thing(picture, 0, 0.86, 0.74, (0.86, 0.86, 0.84), ROCKET, 0.6)
    tip = s.turned(ROCKET, 0, 0.86, 0.74)
    picture = s.glazed(picture, s.Turned(tip.mask * s.step(0.78, 0.79, tip.up), *_rest(tip)), (0.62, 0.1, 0.1), 0.4)
    return s.mix(picture, (0.2, 0.45, 0.7), s.ellipse(0, 0.48, 0.035, 0.035))


def hatchet(random: Random) -> Array:
    picture = s.table(random, (0.4, 0.42, 0.36))
    shaft = [(-0.07, 0.2), (0.0, 0.2), (0.06, 0.95), (-0.03, 0.96)]
    head = [(-0.3, 0.14), (-0.02, 0.2), (0.07, 0.19), (0.08, 0.32), (-0.02, 0.33), (-0.26, 0.46), (-0.32, 0.3)]
    picture = s.lying(picture, shaft, s.brushed(random, (0.7, 0.5, 0.28)))
    return s.lying(picture, head, s.brushed(random, (0.5, 0.52, 0.55)))


def rifle(picture: Array, random: Random, y: float) -> Array:
    """A hunting rifle with its stock to the left, as it lies in a showcase."""
    wood, steel = s.brushed(random, (0.42, 0.23, 0.1)), s.brushed(random, (0.26, 0.27, 0.29))
    stock = [(-0.62, 0.02), (-0.6, 0.17), (-0.42, 0.11), (-0.28, 0.06), (-0.22, 0.05), (-0.16, 0.02), (-0.22, -0.015)]
    forend = [(-0.2, -0.015), (-0.19, 0.035), (0.02, 0.03), (0.2, 0.005), (0.21, -0.015)]
    barrel = [(-0.22, -0.045), (-0.22, -0.008), (0.04, -0.01), (0.62, -0.026), (0.62, -0.042), (0.04, -0.048)]
    scope = [(-0.17, -0.105), (-0.17, -0.07), (0.14, -0.075), (0.14, -0.11)]
    mounts = [[(x, -0.08), (x + 0.02, -0.08), (x + 0.02, -0.04), (x, -0.04)] for x in (-0.1, 0.06)]
    parts = [(stock, wood), (forend, wood), (barrel, steel), (scope, steel * 0.5), *((each, steel) for each in mounts)]
    for points, surface in parts:
        picture = s.lying(picture, [(x, y + down) for x, down in points], surface)
    guard = s.ellipse(-0.135, y + 0.045, 0.04, 0.028) * (1 - s.ellipse(-0.135, y + 0.045, 0.032, 0.02))
    return s.mix(picture, (0.15, 0.15, 0.16), guard)


def museum(random: Random) -> Array:
    wall = s.flat((0.8, 0.78, 0.72)) * (0.9 + 0.15 * s.clouds(random))[..., None]
    return rifle(rifle(wall, random, 0.34), random, 0.68)


def cabin(random: Random) -> Array:
    return rifle(s.room(random, (0.6, 0.66, 0.62), (0.7, 0.6, 0.5)), random, 0.45)


def mountains(random: Random) -> Array:
    _, ys = s.grid()
    picture = s.mix(s.flat((0.36, 0.56, 0.8)), (0.95, 0.82, 0.66), s.step(0, 0.6, ys))
    picture = s.mix(picture, (1, 1, 1), s.step(0.55, 0.8, s.clouds(random, 2)) * (1 - s.step(0.2, 0.5, ys)) * 0.7)
    for level in range(5):
        ridge = 0.34 + 0.13 * level + (s.clouds(random, 0.05)[240] - 0.5) * (0.4 - 0.05 * level)
        near = level / 4
        rock = (0.5 - 0.38 * near, 0.56 - 0.28 * near, 0.66 - 0.5 * near)
        texture = (0.8 + 0.4 * s.clouds(random))[..., None]
        picture = s.mix(picture, np.asarray(rock, np.float32) * texture, s.step(0, 0.006, ys - ridge[None, :]))
    return picture


def lighthouse(random: Random) -> Array:
    picture = mountains(random)
    shape = s.turned(LIGHTHOUSE, 0.1, 0.9, 0.66)
    bands = s.band(np.mod(shape.up * 4.4, 1).astype(np.float32), 0, 0.5) * (1 - s.step(0.64, 0.65, shape.up))
    paint = s.mix(s.flat((0.92, 0.9, 0.88)), (0.72, 0.12, 0.1), bands)
    paint = s.mix(paint, (1, 0.92, 0.6), s.band(shape.up, 0.68, 0.79))
    paint = s.mix(paint, (0.3, 0.08, 0.08), s.step(0.8, 0.81, shape.up))
    picture = s.glazed(picture, shape, paint, 0.15)
    return s.mix(picture, (0.16, 0.2, 0.12), s.ellipse(0.12, 1.0, 0.5, 0.12, 0.01))


def sunset(random: Random) -> Array:
    xs, ys = s.grid()
    sky = s.mix(s.flat((0.2, 0.18, 0.4)), (1, 0.55, 0.25), s.step(0.05, 0.55, ys))
    sky = s.mix(sky, (0.9, 0.5, 0.45), s.step(0.5, 0.75, s.clouds(random, 4)) * 0.5)
    sky = s.mix(sky, (1, 0.9, 0.6), s.ellipse(0.12, 0.5, 0.09, 0.09, 0.02))
    wave = s.noise(random, 30, 160) * 0.5 + s.noise(random, 90, 300) * 0.5
    sea = s.mix(s.flat((0.12, 0.14, 0.28)), (0.9, 0.5, 0.3), wave * 0.5 * (1 - s.step(0.55, 1, ys)))
    path = np.exp(-(((xs - 0.12) / (0.05 + 0.3 * np.clip(ys - 0.55, 0, 1))) ** 2)) * s.step(0.45, 0.7, wave)
    sea = s.mix(sea, (1, 0.8, 0.5), path.astype(np.float32))
    return s.mix(sky, sea, s.step(0.546, 0.552, ys))


def _rest(shape: s.Turned) -> tuple[Array, Array, Array]:
    return shape.across, shape.up, shape.normal


# Some are plain to an engine, others doubtful, which is what a review is for.
SCENES: Mapping[str, Callable[[Random], Array]] = MappingProxyType(
    {
        "wine-evening": wine_evening,
        "juice": juice,
        "chess": chess,
        "milk": milk,
        "museum": museum,
        "mountains": mountains,
        "hatchet": hatchet,
        "goblet": goblet,
        "spritz": spritz,
        "beer-garden": beer_garden,
        "vase": vase,
        "rocket": rocket,
        "syrups": syrups,
        "lighthouse": lighthouse,
        "cabin": cabin,
        "sunset": sunset,
    }
)


@cache
def draw(name: str) -> bytes:
    """The picture of that name as a JPEG, the same every time."""
    random = np.random.default_rng(zlib.crc32(f"a drawing of {name}".encode()))
    return s.finish(SCENES[name](random), random)
