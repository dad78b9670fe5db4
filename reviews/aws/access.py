"""Who may use the control plane and the runtime: what a key's policy says, and no more than its person's role does.

Reviewers may nothing here: they must not learn by which conditions an item came to them.
"""

from moderation.aws.protocol import Caller
from moderation.models import User
from moderation.permissions import READS, UPLOADS

MANAGES = (User.Role.ADMIN, User.Role.LEAD)


def manage(caller: Caller, operation: str, resource: str) -> None:
    """AccessDeniedException unless the caller may make, change or delete the resource (an ARN)."""
    caller.require(f"sagemaker:{operation}", resource, roles=MANAGES)


def read(caller: Caller, operation: str, resource: str = "*") -> None:
    """AccessDeniedException unless the caller may see the resource (an ARN; `*` for a list)."""
    caller.require(f"sagemaker:{operation}", resource, roles=READS)


def start(caller: Caller, operation: str, resource: str) -> None:
    """AccessDeniedException unless the caller may hand something in with that flow definition (an ARN)."""
    caller.require(f"sagemaker:{operation}", resource, roles=UPLOADS)
