"""Checks request values against the constraints of botocore's model: required, length, range, pattern, enum.

Clients check almost nothing themselves (botocore: required, type and `min`; the JavaScript SDK: nothing), and some
match on the words of the answer, so each violation is told in the sentence that AWS uses:

    Value '101.0' at 'minConfidence' failed to satisfy constraint: Member must have value less than or equal to 100
"""

import re
import sys
import unicodedata
import warnings
from collections.abc import Iterator, Mapping
from functools import lru_cache
from itertools import islice

from botocore.model import ListShape, MapShape, Shape, StructureShape

from moderation.aws.errors import validation_failed

MAX_SENTENCES = 20
MAX_ECHO = 200
# A few patterns have no maximum length in the model and take quadratic time on a text made for it.  Nothing they
# describe is longer.
MAX_PATTERN_INPUT = 4096

_UNICODE_CLASS = re.compile(r"\\p\{(\w+)\}")
_SURROGATE_PAIR = re.compile(r"\\u(D[89AB][0-9A-F]{2})\\u(D[CDEF][0-9A-F]{2})", re.IGNORECASE)


def check(shape: StructureShape, value: Mapping[str, object]) -> None:
    """ValidationException when a (converted) request breaks constraints of its shape; up to twenty are told at once."""
    if found := list(islice(_structure(shape, value, ""), MAX_SENTENCES)):
        raise validation_failed(found)


def member_path(parent: str, member: str) -> str:
    """The dotted path in the sentences: `Image`, `S3Object` gives `image.s3Object`."""
    name = member[:1].lower() + member[1:]
    return f"{parent}.{name}" if parent else name


def _structure(shape: StructureShape, value: Mapping[str, object], path: str) -> Iterator[str]:
    if shape.is_tagged_union and len(value) != 1:
        yield _sentence(shape, value, path, "Member must have exactly one of its members set")
    required = set(shape.required_members)
    for name, member in shape.members.items():
        place = member_path(path, name)
        if name in value:
            yield from _violations(member, value[name], place)
        elif name in required:
            yield f"Value null at '{place}' failed to satisfy constraint: Member must not be null"


def _violations(shape: Shape, value: object, path: str) -> Iterator[str]:
    for constraint in _constraints(shape, value):
        yield _sentence(shape, value, path, constraint)
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        yield from _structure(shape, value, path)
    elif isinstance(shape, ListShape) and isinstance(value, list):
        yield from _items(shape, value, path)
    elif isinstance(shape, MapShape) and isinstance(value, Mapping):
        yield from _entries(shape, value, path)


def _items(shape: ListShape, value: list[object], path: str) -> Iterator[str]:
    if isinstance(shape.member, StructureShape | ListShape | MapShape):
        for number, item in enumerate(value, 1):
            yield from _violations(shape.member, item, f"{path}.{number}.member")
        return
    for item in value:
        if broken := list(_constraints(shape.member, item)):
            yield _sentence(shape, value, path, f"Member must satisfy constraint: [{', '.join(broken)}]")
            return


def _entries(shape: MapShape, value: Mapping[str, object], path: str) -> Iterator[str]:
    for key, item in value.items():
        if broken := list(_constraints(shape.key, key)):
            yield _sentence(shape, value, path, f"Map keys must satisfy constraint: [{', '.join(broken)}]")
            return
        yield from _violations(shape.value, item, f"{path}.{_shorten(key)}.member")


def _constraints(shape: Shape, value: object) -> Iterator[str]:
    """The constraints of this one shape (not of what it holds) that the value breaks."""
    low, high = shape.metadata.get("min"), shape.metadata.get("max")
    if isinstance(value, int | float) and not isinstance(value, bool):
        yield from _bounds("value", value, low, high)
    elif isinstance(value, str):
        yield from _text(shape, value, low, high)
    elif isinstance(value, bytes | list | Mapping):
        yield from _bounds("length", len(value), low, high)


def _bounds(what: str, size: float, low: float | None, high: float | None) -> Iterator[str]:
    if low is not None and size < low:
        yield f"Member must have {what} greater than or equal to {low}"
    if high is not None and size > high:
        yield f"Member must have {what} less than or equal to {high}"


def _text(shape: Shape, value: str, low: float | None, high: float | None) -> Iterator[str]:
    metadata = shape.metadata
    pattern = metadata.get("pattern")
    if pattern and high is None:
        high = MAX_PATTERN_INPUT
    too_long_or_short = list(_bounds("length", len(value), low, high))
    yield from too_long_or_short
    if "\0" in value:
        # No database text can hold it.
        yield "Member must not contain the character U+0000"
    # A pattern never sees a text longer than its maximum: some take quadratic time.
    if pattern and not (high is not None and len(value) > high):
        compiled = compile_pattern(pattern)
        if compiled is not None and not compiled.fullmatch(value):
            yield f"Member must satisfy regular expression pattern: {pattern}"
    if (enum := metadata.get("enum")) and value not in enum:
        yield f"Member must satisfy enum value set: [{', '.join(enum)}]"


def _sentence(shape: Shape, value: object, path: str, constraint: str) -> str:
    shown = "Value" if shape.metadata.get("sensitive") else f"Value '{_shown(value)}'"
    return f"{shown} at '{path}' failed to satisfy constraint: {constraint}"


def _shown(value: object) -> str:
    if isinstance(value, bytes):
        # The word for word answer to a picture of more than 5 MiB; clients match on it.
        return f"java.nio.HeapByteBuffer[pos=0 lim={len(value)} cap={len(value)}]"
    if isinstance(value, list):
        return _shorten(f"[{', '.join(_shown(item) for item in value[:MAX_ECHO])}]")
    if isinstance(value, Mapping):
        return _shorten(f"{{{', '.join(f'{key}={_shown(item)}' for key, item in islice(value.items(), MAX_ECHO))}}}")
    return _shorten(str(value))


def _shorten(text: str) -> str:
    return text if len(text) <= MAX_ECHO else f"{text[:MAX_ECHO]}…"


@lru_cache(maxsize=256)
def compile_pattern(pattern: str) -> re.Pattern[str] | None:
    r"""A pattern of the model (written for Java) for Python, to be matched as a whole; None where it does not compile.

    `\d` and `\w` mean ASCII in Java; `\p{L}` and surrogate pairs are spelled out.
    """
    spelled = _UNICODE_CLASS.sub(lambda match: _code_points(match[1]), _SURROGATE_PAIR.sub(_join_surrogates, pattern))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # `[[` and `--` inside a set, harmless in these patterns
            return re.compile(spelled, re.ASCII)
    except re.error:
        return None


def _join_surrogates(pair: re.Match[str]) -> str:
    high, low = int(pair[1], 16) - 0xD800, int(pair[2], 16) - 0xDC00
    return f"\\U{0x10000 + (high << 10) + low:08x}"


@lru_cache(maxsize=16)
def _code_points(category: str) -> str:
    r"""The inside of the set that `\p{category}` stands for: ranges of the code points in a general category."""
    if category == "Alnum":
        return "0-9A-Za-z"
    ranges: list[list[int]] = []
    for code in range(sys.maxunicode + 1):
        if unicodedata.category(chr(code)).startswith(category):
            if ranges and ranges[-1][1] == code - 1:
                ranges[-1][1] = code
            else:
                ranges.append([code, code])
    return "".join(f"\\U{first:08x}-\\U{last:08x}" for first, last in ranges)
