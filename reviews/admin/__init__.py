"""The review app's pages at /admin/."""

from reviews.admin import flows, teams

__all__ = ["flows", "teams"]
