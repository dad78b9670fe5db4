"""Who may use the control plane and the runtime: what a key's policy says, and no more than its person's role does."""

from moderation.aws.protocol import Caller
from moderation.models import User
from moderation.permissions import READS, UPLOADS

# Those who see the admin's rows or the loops' results may read; reviewers must not learn why an item came to them.
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
