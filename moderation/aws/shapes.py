"""Values between JSON and Python, by botocore's shapes: blobs are bytes, timestamps aware datetimes, null is absence.

Reading is strict about types (SerializationException names the member) and ignores members that the model does not
know.  Writing is strict about everything: a member that the model does not know, or that it requires and the answer
lacks, is a fault of ours.
"""

import base64
import json
import math
import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import NoReturn

from botocore.model import ListShape, MapShape, Shape, StructureShape

from moderation.aws.errors import not_understood
from moderation.aws.validation import member_path

_INTEGER_BITS = {"integer": 31, "long": 63}
_JSON_NAMES = {bool: "BOOLEAN_VALUE", int: "NUMBER_VALUE", float: "NUMBER_VALUE", str: "STRING_VALUE"}


class AnswerError(TypeError):
    """An operation's answer does not fit the model."""


def parse_body(body: bytes) -> dict[str, object]:
    """The JSON object in a request body; an empty body is an empty object.  SerializationException otherwise."""
    if not body.strip():
        return {}
    try:
        parsed = json.loads(body.decode("utf-8"), parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise not_understood("The request body is not valid JSON in UTF-8") from None
    if not isinstance(parsed, dict):
        raise not_understood("The request body must be a JSON object")
    return parsed


def read(shape: StructureShape, raw: Mapping[str, object], path: str = "") -> dict[str, object]:
    """The members of a request structure as Python values; absent and null members are left out."""
    value: dict[str, object] = {}
    for name, member in shape.members.items():
        item = raw.get(member.serialization.get("name", name))
        if item is not None:
            value[name] = read_value(member, item, member_path(path, name))
    return value


def read_value(shape: Shape, raw: object, path: str) -> object:
    """One JSON value as a Python value of that shape."""
    if isinstance(shape, StructureShape):
        return read(shape, raw, path) if isinstance(raw, dict) else _refuse(raw, "a structure", path)
    if isinstance(shape, ListShape):
        items = raw if isinstance(raw, list) else _refuse(raw, "a list", path)
        member = shape.member
        return [
            _refuse(None, "a list member", place) if item is None else read_value(member, item, place)
            for item, place in ((item, f"{path}.{number}.member") for number, item in enumerate(items, 1))
        ]
    if isinstance(shape, MapShape):
        entries = raw if isinstance(raw, dict) else _refuse(raw, "a map", path)
        return {
            read_text(key, path): read_value(shape.value, item, f"{path}.{key[:80]}")
            for key, item in entries.items()
            if item is not None
        }
    return _SCALARS[shape.type_name](shape, raw, path)


def read_text(raw: object, path: str) -> str:
    """A JSON string; one with half a surrogate pair cannot be stored anywhere and is refused."""
    text = raw if isinstance(raw, str) else _refuse(raw, "String", path)
    try:
        text.encode()
    except UnicodeEncodeError:
        raise not_understood(f"The text at '{path}' holds half of a surrogate pair") from None
    return text


def read_timestamp(raw: object, path: str) -> datetime:
    """Seconds since 1970 as a number, or ISO 8601; a text without an offset is UTC."""
    try:
        if isinstance(raw, str):
            moment = datetime.fromisoformat(raw)
            return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
        if isinstance(raw, int | float) and not isinstance(raw, bool):
            return datetime.fromtimestamp(raw, UTC)
    except (ValueError, OverflowError, OSError):
        pass
    return _refuse(raw, "Timestamp", path)


def write(shape: StructureShape, value: Mapping[str, object], path: str = "") -> dict[str, object]:
    """An answer as JSON values, None left out; AnswerError when it does not fit the model."""
    members = shape.members
    if unknown := value.keys() - members.keys():
        raise AnswerError(f"{shape.name} has no member {', '.join(sorted(unknown))} (at '{path}')")
    written = {
        member.serialization.get("name", name): write_value(member, value[name], f"{path}.{name}")
        for name, member in members.items()
        if value.get(name) is not None
    }
    for name in shape.required_members:
        if value.get(name) is None:
            raise AnswerError(f"{shape.name} requires {name} (at '{path}')")
    return written


def write_value(shape: Shape, value: object, path: str) -> object:
    """One Python value as a JSON value of that shape."""
    match shape, value:
        case StructureShape(), Mapping():
            return write(shape, value, path)
        case ListShape(), list() | tuple():
            return [write_value(shape.member, item, f"{path}[]") for item in value]
        case MapShape(), Mapping():
            return {str(key): write_value(shape.value, item, f"{path}.{key}") for key, item in value.items()}
    match shape.type_name, value:
        case "string", str():
            return str(value)
        case "boolean", bool():
            return value
        case "integer" | "long", int() if not isinstance(value, bool):
            return value
        case "float" | "double", int() | float() if math.isfinite(value):
            # Confidences look like AWS's: a 32-bit number printed as a 64-bit one (99.44782257080078).
            return struct.unpack("f", struct.pack("f", value))[0] if shape.type_name == "float" else float(value)
        case "blob", bytes():
            return base64.b64encode(value).decode()
        case "timestamp", datetime() if value.tzinfo is not None:
            return _write_timestamp(shape, value)
    raise AnswerError(f"{path} must be a {shape.type_name}, not {value!r:.80}")


def _write_timestamp(shape: Shape, moment: datetime) -> float | str:
    """Clients are strict: a number where the model says nothing, an ISO 8601 text where it says iso8601."""
    if shape.serialization.get("timestampFormat") == "iso8601":
        return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return round(moment.timestamp(), 3)


def _string(shape: Shape, raw: object, path: str) -> str:
    return read_text(raw, path)


def _boolean(shape: Shape, raw: object, path: str) -> bool:
    return raw if isinstance(raw, bool) else _refuse(raw, "Boolean", path)


def _integer(shape: Shape, raw: object, path: str) -> int:
    if isinstance(raw, float) and raw.is_integer():
        raw = int(raw)
    limit = 1 << _INTEGER_BITS[shape.type_name]
    if isinstance(raw, bool) or not isinstance(raw, int) or not -limit <= raw < limit:
        _refuse(raw, shape.type_name.capitalize(), path)
    return raw


def _float(shape: Shape, raw: object, path: str) -> float:
    if isinstance(raw, bool) or not isinstance(raw, int | float):
        _refuse(raw, shape.type_name.capitalize(), path)
    try:
        number = float(raw)
    except OverflowError:
        number = math.inf
    return number if math.isfinite(number) else _refuse(raw, shape.type_name.capitalize(), path)


def _blob(shape: Shape, raw: object, path: str) -> bytes:
    text = raw if isinstance(raw, str) else _refuse(raw, "Blob", path)
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise not_understood(f"The value at '{path}' is not valid base64") from None


def _timestamp(shape: Shape, raw: object, path: str) -> datetime:
    return read_timestamp(raw, path)


_SCALARS = {
    "string": _string,
    "boolean": _boolean,
    "integer": _integer,
    "long": _integer,
    "float": _float,
    "double": _float,
    "blob": _blob,
    "timestamp": _timestamp,
}


def _refuse(raw: object, wanted: str, path: str) -> NoReturn:
    found = "START_OBJECT" if isinstance(raw, dict) else "START_ARRAY" if isinstance(raw, list) else None
    found = found or ("NULL_VALUE" if raw is None else _JSON_NAMES[type(raw)])
    raise not_understood(f"{found} can not be converted to {wanted} at '{path}'")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
