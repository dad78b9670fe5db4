"""Addresses of the moderation app's pages."""

from django.urls import path

from moderation import views

urlpatterns = [
    path("upload/", views.upload, name="upload"),
    path("submissions/", views.submissions, name="submissions"),
    path("submissions/<uuid:pk>/", views.submission, name="submission"),
    path("submissions/<uuid:pk>/status/", views.submission_status, name="submission-status"),
    path("submissions/<uuid:pk>/picture/<str:variant>/", views.submission_picture, name="submission-picture"),
]
