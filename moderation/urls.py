"""Every address of the product; the one module that names both apps."""

from django.contrib import admin
from django.urls import include, path, re_path

from moderation import views
from moderation.aws import rekognition
from moderation.aws.endpoint import endpoint

aws = endpoint({"rekognition": rekognition.OPERATIONS, "sagemaker": {}, "sagemaker-a2i-runtime": {}})

urlpatterns = [
    path("", views.root(aws), name="landing"),
    re_path(r"^human-loops(/.*)?$", aws),
    path("healthz", views.healthz, name="healthz"),
    path("readyz", views.readyz, name="readyz"),
    path("metrics", views.metrics, name="metrics"),
    path("api/v1/", include("moderation.api.urls")),
    path("upload/", views.upload, name="upload"),
    path("submissions/<uuid:pk>/", views.submission, name="submission"),
    path("media/", include("moderation.media_urls")),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
]
