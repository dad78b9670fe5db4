"""The review app's pages at /admin/."""

from reviews.admin import flows, loops, teams, truth

__all__ = ["flows", "loops", "teams", "truth"]
