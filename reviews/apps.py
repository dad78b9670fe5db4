"""The review app: people decide what the machine is unsure of."""

from django.apps import AppConfig


class ReviewsConfig(AppConfig):
    """Registers the app."""

    name = "reviews"
    verbose_name = "Human review"
    default_auto_field = "django.db.models.BigAutoField"
