"""The moderation app: a picture in, labels and a verdict out."""

from django.apps import AppConfig


class ModerationConfig(AppConfig):
    """Registers the app; the Celery application is loaded with it so that tasks bind to it."""

    name = "moderation"
    verbose_name = "Moderation"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Load the Celery application."""
        from moderation import celery  # noqa: F401  (binds shared tasks; needs the app registry)
