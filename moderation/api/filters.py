"""Which submissions a list shows."""

import django_filters

from moderation.models import Submission


class SubmissionFilter(django_filters.FilterSet):  # type: ignore[misc]  # django-filter carries no types
    """`?status=`, `?source=`, `?external_id=`, `?created_after=`, `?created_before=`."""

    status = django_filters.ChoiceFilter(choices=Submission.Status.choices)
    source = django_filters.ChoiceFilter(choices=Submission.Source.choices)
    external_id = django_filters.CharFilter(max_length=200)
    created_after = django_filters.IsoDateTimeFilter(
        field_name="created_at", lookup_expr="gte", label="From this time on."
    )
    created_before = django_filters.IsoDateTimeFilter(
        field_name="created_at", lookup_expr="lt", label="Before this time."
    )

    class Meta:
        model = Submission
        fields: list[str] = []
