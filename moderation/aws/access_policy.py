"""What an access key may do: a small subset of IAM's policy language, judged by pure functions.

    {"Statement": [{"Effect": "Allow", "Action": "rekognition:Detect*", "Resource": "*"}]}

A statement has Effect (Allow or Deny), Action and Resource (a text or a list of texts; `*` stands for any characters,
`?` for one) and, if wanted, Sid.  Actions compare without regard to case, resources with.  A Deny that matches always
wins; what no Allow matches is refused.  Everything else IAM knows (NotAction, Condition, Principal, …) is refused when
a policy is parsed: one that is stored and not obeyed would open more than its author believes.
"""

import fnmatch
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

MAX_STATEMENTS = 100
MAX_PATTERNS = 200
MAX_PATTERN_LENGTH = 2048

_POLICY_KEYS = {"Version", "Id", "Statement"}
_STATEMENT_KEYS = {"Sid", "Effect", "Action", "Resource"}
_VERSIONS = ("2012-10-17", "2008-10-17")
_ACTION = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+", re.ASCII)


class PolicyError(ValueError):
    """A policy that cannot be obeyed; `node` says where, e.g. `Statement[0].Action`."""

    def __init__(self, node: str, problem: str) -> None:
        super().__init__(f"{node}: {problem}" if node else problem)
        self.node = node
        self.problem = problem


@dataclass(frozen=True, slots=True)
class Statement:
    """One rule of a policy."""

    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]

    def covers(self, action: str, resource: str) -> bool:
        """Whether the rule speaks about this action on this resource."""
        return any(_matches(pattern.lower(), action.lower()) for pattern in self.actions) and any(
            _matches(pattern, resource) for pattern in self.resources
        )


def permits(policy: object, action: str, resource: str) -> bool:
    """Whether a key with this policy may do `action` (`sagemaker:StartHumanLoop`) on `resource` (an ARN, or `*`).

    None means full rights in the key's account.  A policy that does not parse permits nothing.
    """
    if policy is None:
        return True
    try:
        matching = [statement for statement in parse(policy) if statement.covers(action, resource)]
    except PolicyError:
        return False
    return bool(matching) and all(statement.allows for statement in matching)


def parse(policy: object) -> tuple[Statement, ...]:
    """The policy's rules; PolicyError names the first node that is wrong."""
    if not isinstance(policy, Mapping):
        raise PolicyError("", "a policy is an object with a list of Statements")
    _only(policy, _POLICY_KEYS, "")
    if (version := policy.get("Version", _VERSIONS[0])) not in _VERSIONS:
        raise PolicyError("Version", f"must be {_VERSIONS[0]!r}, not {version!r}")
    statements = policy.get("Statement")
    if isinstance(statements, Mapping):
        statements = [statements]
    if not isinstance(statements, list) or not 1 <= len(statements) <= MAX_STATEMENTS:
        raise PolicyError("Statement", f"must be a list of 1 to {MAX_STATEMENTS} statements")
    return tuple(_statement(statement, f"Statement[{index}]") for index, statement in enumerate(statements))


def _statement(raw: object, node: str) -> Statement:
    if not isinstance(raw, Mapping):
        raise PolicyError(node, "must be an object with Effect, Action and Resource")
    _only(raw, _STATEMENT_KEYS, node)
    if not isinstance(raw.get("Sid", ""), str):
        raise PolicyError(f"{node}.Sid", "must be a text")
    effect = raw.get("Effect")
    if effect not in ("Allow", "Deny"):
        raise PolicyError(f"{node}.Effect", "must be 'Allow' or 'Deny'")
    actions = _patterns(raw.get("Action"), f"{node}.Action")
    for action in actions:
        if not _ACTION.fullmatch(action):
            raise PolicyError(f"{node}.Action", f"{action!r} is not of the form 'service:Operation' (or '*')")
    return Statement(effect == "Allow", actions, _patterns(raw.get("Resource"), f"{node}.Resource"))


def _patterns(raw: object, node: str) -> tuple[str, ...]:
    found = raw if isinstance(raw, list) else [raw]
    if not 1 <= len(found) <= MAX_PATTERNS:
        raise PolicyError(node, f"must name 1 to {MAX_PATTERNS} patterns")
    for pattern in found:
        if not isinstance(pattern, str) or not 1 <= len(pattern) <= MAX_PATTERN_LENGTH:
            raise PolicyError(node, f"must be a text of 1 to {MAX_PATTERN_LENGTH} characters, or a list of such texts")
    return tuple(found)


def _only(raw: Mapping[object, object], known: set[str], node: str) -> None:
    for key in raw:
        if key not in known:
            place = f"{node}.{key}" if node else str(key)
            raise PolicyError(place, f"not supported; known here: {', '.join(sorted(known))}")


def _matches(pattern: str, text: str) -> bool:
    return _glob(pattern).fullmatch(text) is not None


@lru_cache(maxsize=1024)
def _glob(pattern: str) -> re.Pattern[str]:
    # fnmatch's translation of many stars does not backtrack without end; its character sets are not IAM's, so `[` is
    # taken literally.
    return re.compile(fnmatch.translate(pattern.replace("[", "[[]")))
