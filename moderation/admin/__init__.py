"""The operators' pages at /admin/."""

from django.contrib import admin
from django.contrib.auth.models import Group

from moderation.admin import audit, buckets, delivery, people, policies, submissions

# Rights follow the role.
admin.site.unregister(Group)

__all__ = ["audit", "buckets", "delivery", "people", "policies", "submissions"]
