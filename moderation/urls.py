"""Every address of the product; the one module that names both apps."""

from allauth.account.decorators import secure_admin_login
from django.contrib import admin
from django.urls import include, path, re_path

from moderation import health, metrics, views
from moderation.aws import rekognition
from moderation.aws.endpoint import endpoint
from reviews.aws import a2i, sagemaker

aws = endpoint(
    {
        "rekognition": rekognition.OPERATIONS,
        "sagemaker": sagemaker.OPERATIONS,
        "sagemaker-a2i-runtime": a2i.OPERATIONS,
    }
)

# One door: the admin's own sign-in page gives way to ours, with its limits on tries.
admin.site.login = secure_admin_login(admin.site.login)  # type: ignore[method-assign]

urlpatterns = [
    path("", views.root(aws), name="landing"),
    re_path(r"^human-loops(/.*)?$", aws),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", metrics.exposition(metrics.FloorsCollector()), name="metrics"),
    path("api/v1/", include("moderation.api.urls")),
    path("", include("moderation.page_urls")),
    path("media/", include("moderation.media_urls")),
    path("review/", include("reviews.urls")),
    path("accounts/", include("moderation.account_urls")),
    path("admin/", admin.site.urls),
]
