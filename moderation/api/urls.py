"""Addresses below `/api/v1/`."""

from django.urls import path, re_path

from moderation.api import views

urlpatterns = [
    path("submissions/", views.Submissions.as_view(), name="api-submissions"),
    path("submissions/<uuid:pk>/", views.OneSubmission.as_view(), name="api-submission"),
    path("labels/", views.LabelList.as_view(), name="api-labels"),
    path("schema/", views.Schema.as_view(), name="api-schema"),
    path("docs/", views.Docs.as_view(), name="api-docs"),
    re_path(r"", views.Nowhere.as_view()),
]
