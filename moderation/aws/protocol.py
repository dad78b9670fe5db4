"""The three services as botocore's own models describe them: operations, members, answers, errors.

An operation is a function from a caller and a request's members to an answer's members:

    def detect_moderation_labels(caller: Caller, request: DetectModerationLabelsRequest) -> dict[str, object]: ...

Its module ends in a table from the operation's name to the function; everything between the wire and that call is here.
"""

import json
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

from botocore.loaders import Loader
from botocore.model import OperationModel, ServiceModel, Shape, StructureShape

from moderation.aws import access_policy, arns, shapes, validation
from moderation.aws.errors import COMMON_CODES, AwsError, access_denied, not_understood

if TYPE_CHECKING:
    from moderation.models import AccessKey

REKOGNITION = "rekognition"
SAGEMAKER = "sagemaker"
A2I_RUNTIME = "sagemaker-a2i-runtime"

REST_ROOT = "/human-loops"

_INTERNAL_CODES = ("InternalServerError", "InternalServerException", "InternalFailure")
_STATUS = {"RequestEntityTooLargeException": 413, "ServiceUnavailableException": 503} | dict.fromkeys(
    _INTERNAL_CODES, 500
)
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")


@dataclass(frozen=True, slots=True)
class Caller:
    """Who signed the request, and for which region.

    `retry_key` is the same when the client sends it again (empty where clients do not tell), which `is_retry` says.
    """

    account_id: str
    region: str
    arn: str
    key: "AccessKey"
    request_id: str
    retry_key: str = ""
    is_retry: bool = False

    @property
    def partition(self) -> str:
        """What the region's ARNs begin with: `aws`, `aws-cn`, …"""
        return arns.partition_of(self.region)

    def require(self, action: str, resource: str = "*", *, roles: Collection[str] = ()) -> None:
        """AccessDeniedException unless the key's policy permits the action (e.g. `sagemaker:StartHumanLoop`).

        A key that belongs to a person may no more than the person: one of `roles` is needed, where any are named.
        """
        person = self.key.user
        has_role = person is None or not roles or person.has_role(*roles)
        if not has_role or not access_policy.permits(self.key.policy, action, resource):
            raise access_denied(self.arn, action, resource)


# The members of request and answer are those of botocore's model; a type for each operation is the operation's own
# affair.
Operation = Callable[[Caller, Any], Mapping[str, object]]
OperationTable = Mapping[str, Operation]


@dataclass(frozen=True)
class Service:
    """One AWS service, with the operations that are served here."""

    name: str
    model: ServiceModel
    operations: OperationTable

    @classmethod
    def load(cls, name: str, operations: OperationTable) -> "Service":
        """The service of that boto3 name; KeyError when an operation in the table is not one of the service's."""
        model = load_model(name)
        if unknown := operations.keys() - set(model.operation_names):
            raise KeyError(f"{name} has no operation {', '.join(sorted(unknown))}")
        return cls(name, model, operations)

    @cached_property
    def is_rest(self) -> bool:
        """REST-JSON (method and path name the operation) rather than JSON 1.1 (the header X-Amz-Target does)."""
        return bool(self.model.metadata["protocol"] == "rest-json")

    @cached_property
    def scope(self) -> str:
        """The service's name in a signature and in permissions; sagemaker and its A2I runtime share one."""
        return str(self.model.signing_name)

    @cached_property
    def content_type(self) -> str:
        """Of every answer, errors too."""
        return "application/json" if self.is_rest else f"application/x-amz-json-{self.model.metadata['jsonVersion']}"

    @cached_property
    def internal_code(self) -> str:
        """What the service calls a fault of its own."""
        return next((code for code in _INTERNAL_CODES if code in self.error_shapes), _INTERNAL_CODES[-1])

    @cached_property
    def error_shapes(self) -> dict[str, Shape]:
        """The errors that the service's model knows, by code."""
        return {shape.name: shape for shape in self.model.error_shapes}

    @cached_property
    def routes(self) -> list[tuple[re.Pattern[str], str, str]]:
        """(path, method, operation) of a REST service."""
        http = ((self.model.operation_model(name).http, name) for name in self.model.operation_names)
        return [(_path_pattern(spec["requestUri"]), spec["method"], name) for spec, name in http]

    def by_target(self, operation: str) -> "Call":
        """The call that `X-Amz-Target: Prefix.Operation` means; UnknownOperationException when it is not served."""
        return self._call(operation, {}, "")

    def by_path(self, method: str, path: str, query: str) -> "Call":
        """The call that a request line means (path and query as sent); UnknownOperationException (404, 405) if none."""
        found_path = False
        for pattern, wanted_method, name in self.routes:
            if match := pattern.fullmatch(path):
                if method == wanted_method:
                    labels = {label: unquote(value) for label, value in match.groupdict().items()}
                    return self._call(name, labels, query)
                found_path = True
        if found_path:
            raise AwsError("UnknownOperationException", f"{method} is not allowed on this path", status=405)
        raise unknown_path()

    def _call(self, name: str, labels: Mapping[str, str], query: str) -> "Call":
        if name not in self.operations:
            known = name in self.model.operation_names
            problem = "is not offered here" if known else "is no operation of this service"
            raise AwsError("UnknownOperationException", f"{self.name}: {name[:100]} {problem}")
        return Call(self, self.model.operation_model(name), labels, query)

    def write_error(self, error: AwsError, request_id: str) -> tuple[int, bytes]:
        """Status and body of an error, in the form this service gives to that code."""
        shape = self.error_shapes.get(error.code)
        modelled = shape.metadata.get("error", {}) if shape is not None else {}
        status = error.status or modelled.get("httpStatusCode") or _STATUS.get(error.code, 400)
        body: dict[str, object] = {"__type": error.code}
        if shape is None:
            body["message"] = error.message
        elif self.name == REKOGNITION:
            body |= {"Code": error.code, "Logref": request_id, "Message": error.message}
        else:
            body["Message"] = error.message
        return status, _dump(body | error.members)


@dataclass(frozen=True, slots=True)
class Call:
    """A request whose operation is known, with what its path says."""

    service: Service
    model: OperationModel
    labels: Mapping[str, str]
    query: str

    @property
    def operation(self) -> Operation:
        """The function that answers."""
        return self.service.operations[self.model.name]

    @property
    def action(self) -> str:
        """The permission's name: `rekognition:DetectModerationLabels`, `sagemaker:StartHumanLoop`."""
        return f"{self.service.scope}:{self.model.name}"

    def read(self, body: bytes) -> dict[str, object]:
        """The request's members, converted and checked; SerializationException or ValidationException otherwise."""
        shape = self.model.input_shape
        if shape is None:
            return {}
        raw = shapes.parse_body(body)
        if self.service.is_rest:
            raw = self._with_target(shape, raw)
        request = shapes.read(shape, raw)
        validation.check(shape, request)
        return request

    def write(self, answer: Mapping[str, object]) -> bytes:
        """The answer as a body; `shapes.AnswerError` when it does not fit the model."""
        shape = self.model.output_shape
        return _dump(shapes.write(shape, answer) if shape is not None else {})

    def allows(self, error: AwsError) -> bool:
        """Whether the model lets this operation answer with that error."""
        return error.code in COMMON_CODES or any(shape.name == error.code for shape in self.model.error_shapes)

    def _with_target(self, shape: StructureShape, body: Mapping[str, object]) -> dict[str, object]:
        """The body's members and those that travel in path and query, as if all had been sent in the body."""
        try:
            query = dict(parse_qsl(self.query, keep_blank_values=True, max_num_fields=100))
        except ValueError:
            raise not_understood("The query string has too many parameters") from None
        raw = dict(body)
        for name, member in shape.members.items():
            if location := member.serialization.get("location"):
                key = member.serialization.get("name", name)
                text = (self.labels if location == "uri" else query).get(key)
                raw[key] = int(text) if text and member.type_name == "integer" and _INTEGER.fullmatch(text) else text
        return raw


def route(services: Mapping[str, Service], method: str, target: str, operation_header: str) -> Call:
    """The call that a request means: `target` is path and query as sent, `operation_header` X-Amz-Target or empty."""
    path, _, query = target.partition("?")
    if is_rest_path(path) and not operation_header:
        return services[A2I_RUNTIME].by_path(method, path, query)
    prefix, _, operation = operation_header.rpartition(".")
    for service in services.values():
        if prefix and service.model.metadata.get("targetPrefix") == prefix:
            if path != "/" or method != "POST":
                raise AwsError("UnknownOperationException", f"{prefix} answers POST / alone", status=405)
            return service.by_target(operation)
    raise unknown_path()


def is_rest_path(path: str) -> bool:
    """Whether the path belongs to the A2I runtime."""
    return path == REST_ROOT or path.startswith(f"{REST_ROOT}/")


def unknown_path() -> AwsError:
    """UnknownOperationException with status 404: neither X-Amz-Target nor the path names an operation."""
    return AwsError("UnknownOperationException", "Neither X-Amz-Target nor the path names an operation", status=404)


@lru_cache
def load_model(name: str) -> ServiceModel:
    """botocore's model of a service, by its boto3 name; read once."""
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def _path_pattern(template: str) -> re.Pattern[str]:
    """`/human-loops/{HumanLoopName}` as a pattern for a path as sent; a label is one segment."""
    return re.compile(re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/]+)", re.escape(template)))


def _dump(value: Mapping[str, object]) -> bytes:
    return json.dumps(value, separators=(",", ":"), allow_nan=False).encode()
