"""Django settings.  What an installation may change comes from the environment (docs/operating.md lists it)."""

import os
from typing import Any

import django_stubs_ext
import environ
from botocore.config import Config
from csp.constants import NONE, SELF

from moderation import env

django_stubs_ext.monkeypatch()

BASE_DIR = env.ROOT
DATA_DIR = env.data_dir()
DEBUG = env.flag("DEBUG")

# An empty key stops every signed thing at once with Django's own message; `manage.py up` makes one in DATA_DIR/secrets.
SECRET_KEY = env.secret("SECRET_KEY")
ENCRYPTION_KEYS = [key for key in env.secret("ENCRYPTION_KEYS").replace("\n", ",").split(",") if key.strip()]

BIND = env.text("BIND", "127.0.0.1")
PORT = env.number("PORT", 8000)
PUBLIC_URL = env.text("PUBLIC_URL", f"http://{BIND if BIND != '0.0.0.0' else '127.0.0.1'}:{PORT}")  # noqa: S104
ALLOWED_HOSTS = env.words("ALLOWED_HOSTS", "*" if BIND.startswith("127.") else "")
CSRF_TRUSTED_ORIGINS = env.words("CSRF_TRUSTED_ORIGINS", PUBLIC_URL)
HTTPS = PUBLIC_URL.startswith("https://")

INSTALLED_APPS = [
    "moderation.apps.ModerationConfig",
    "reviews.apps.ReviewsConfig",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "whitenoise.runserver_nostatic",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "csp",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "pgtrigger",
    "rest_framework",
]

MIDDLEWARE = [
    "moderation.aws.endpoint.aws_first",
    "django.middleware.security.SecurityMiddleware",
    "csp.middleware.CSPMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "moderation.outages.Outages",
]

ROOT_URLCONF = "moderation.urls"
WSGI_APPLICATION = "moderation.wsgi.application"
# A redirect would break a signed request, and no page of ours needs one.
APPEND_SLASH = False

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# --- database, cache, broker ---

DATABASE_URL = env.secret("DATABASE_URL") or "postgresql://second_look@127.0.0.1:5432/second_look"
DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
DATABASES["default"].setdefault("CONN_MAX_AGE", 60)
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True

REDIS_URL = env.secret("REDIS_URL") or "redis://127.0.0.1:6379/0"
CACHES = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}}

CELERY_BROKER_URL = env.secret("CELERY_BROKER_URL") or REDIS_URL
CELERY_TASK_IGNORE_RESULT = True
# The sweep is the only redelivery: a late acknowledgement would replay a long film after the visibility timeout.
CELERY_TASK_ACKS_LATE = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_timeout": 4, "socket_connect_timeout": 2}
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.1}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_TASK_DEFAULT_QUEUE = "light"
CELERY_TASK_ROUTES = {"moderation.tasks.moderate": {"queue": "images"}}
CELERY_BEAT_SCHEDULE = {
    "sweep-analyses": {"task": "moderation.tasks.sweep_analyses", "schedule": 15.0},
    # Ticks that waited behind a long run are dropped: each run takes all that is due.
    "send-outbox": {"task": "moderation.tasks.send_outbox", "schedule": 5.0, "options": {"expires": 5.0}},
    "complete-loops": {"task": "reviews.tasks.complete_loops", "schedule": 5.0, "options": {"expires": 5.0}},
    "sweep-seats": {"task": "reviews.tasks.sweep_seats", "schedule": 15.0},
    "sweep-keys": {"task": "moderation.tasks.sweep_keys", "schedule": 300.0},
    "sweep-uploads": {"task": "moderation.tasks.sweep_blobs", "schedule": 3600.0},
}

# --- accounts and browser security ---

AUTH_USER_MODEL = "moderation.User"
AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "/"
ACCOUNT_ADAPTER = "moderation.accounts.AccountAdapter"
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*", "password2*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_LOGOUT_ON_GET = False
ACCOUNT_RATE_LIMITS = {"login_failed": "10/m/ip,5/300s/key"}

SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = HTTPS
SESSION_COOKIE_AGE = env.number("SESSION_HOURS", 12) * 3600
CSRF_COOKIE_SECURE = HTTPS
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if env.flag("BEHIND_PROXY") else None
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "blob:", "data:"],
        "media-src": [SELF, "blob:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# --- files ---

MEDIA_STORAGE = env.choice("MEDIA_STORAGE", "file", ("file", "s3"))
S3_ENDPOINT_URL = env.text("S3_ENDPOINT_URL")
MEDIA_BUCKET = env.text("MEDIA_BUCKET", "second-look")
_S3 = {
    "bucket_name": MEDIA_BUCKET,
    "endpoint_url": S3_ENDPOINT_URL or None,
    # Where none are given, boto3 looks in its own places (instance roles, profiles).
    "access_key": env.secret("AWS_ACCESS_KEY_ID") or None,
    "secret_key": env.secret("AWS_SECRET_ACCESS_KEY") or None,
    "region_name": env.text("AWS_REGION", "us-east-1"),
    "default_acl": None,
    "file_overwrite": True,
    "querystring_auth": True,
    # Without bounds a store that hangs would hold a web thread for minutes.
    "client_config": Config(connect_timeout=5, read_timeout=15, retries={"total_max_attempts": 2, "mode": "standard"}),
}
STORAGES: dict[str, dict[str, Any]] = {
    "default": (
        {"BACKEND": "storages.backends.s3.S3Storage", "OPTIONS": _S3}
        if MEDIA_STORAGE == "s3"
        else {
            "BACKEND": "moderation.storage.WholeFileStorage",
            "OPTIONS": {"location": DATA_DIR / "media", "allow_overwrite": True},
        }
    ),
    # Names with a digest in them are made by collectstatic: only where STATIC_ROOT says that it has run.
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if env.text("STATIC_ROOT")
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}
STATIC_URL = "/static/"
STATIC_ROOT = env.text("STATIC_ROOT") or DATA_DIR / "static"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Served from the sources, so that a first start needs no collect step.
WHITENOISE_USE_FINDERS = True
FILE_UPLOAD_HANDLERS = ["moderation.upload_handler.BoundedUploadHandler"]
FILE_UPLOAD_PERMISSIONS = 0o600

# --- moderation ---

REGION = env.text("REGION", "us-east-1")
ENGINE = env.text("ENGINE", "default")
WEIGHTS_DIR = DATA_DIR / "weights"
TORCH_THREADS = env.number("TORCH_THREADS", 0)  # 0: as many as there are cores
if TORCH_THREADS:
    os.environ["OMP_NUM_THREADS"] = str(TORCH_THREADS)  # torch reads it when it is loaded, which is later

UPLOAD_MAX_BYTES = env.number("UPLOAD_MAX_BYTES", 15 * 1024 * 1024)
IMAGE_MAX_SIDE = env.number("IMAGE_MAX_SIDE", 10_000)
IMAGE_MIN_SIDE = env.number("IMAGE_MIN_SIDE", 50)
IMAGE_MAX_PIXELS = env.number("IMAGE_MAX_PIXELS", 100_000_000)
# The JSON body of a 5 MiB picture is just under 7 MB; the AWS face reads the raw body itself under its own limit.
DATA_UPLOAD_MAX_MEMORY_SIZE = 8 * 1024 * 1024

ANALYSIS_LEASE_SECONDS = env.number("ANALYSIS_LEASE_SECONDS", 120)
ANALYSIS_MAX_ATTEMPTS = 3
KEEP_SYNCHRONOUS_IMAGES = env.flag("KEEP_SYNCHRONOUS_IMAGES")
# Detections below this confidence are kept in the score vector alone.
EMIT_MIN_CONFIDENCE = env.number("EMIT_MIN_CONFIDENCE", 50)
UNDO_GRACE_SECONDS = env.number("UNDO_GRACE_SECONDS", 60)

# What `up` runs before it serves; each does nothing where there is nothing to do.
FIRST_START_COMMANDS = ["bootstrap", *(["sample_world"] if env.flag("SAMPLE_WORLD", default=True) else [])]

REVIEW_DOOR = "reviews.activation"
REVIEW_LEASE_SECONDS = env.number("REVIEW_LEASE_SECONDS", 600)
MAX_OPEN_LOOPS = env.number("MAX_OPEN_LOOPS", 0)  # per account; 0: as many as come

WEBHOOK_TIMEOUT_SECONDS = env.number("WEBHOOK_TIMEOUT_SECONDS", 10)
WEBHOOK_MAX_ATTEMPTS = env.number("WEBHOOK_MAX_ATTEMPTS", 12)
WEBHOOK_PRIVATE_HOSTS = env.words("WEBHOOK_PRIVATE_HOSTS")  # host names or networks that may be private

AWS_CLOCK_SKEW_SECONDS = env.number("AWS_CLOCK_SKEW_SECONDS", 300)
AWS_REGIONS = env.words("AWS_REGIONS") or None
AWS_RATE = env.text("AWS_RATE")  # e.g. "100/second" for each account, all AWS requests; empty: no limit
AWS_DETECT_RATE = env.text("AWS_DETECT_RATE")  # the same for DetectModerationLabels alone
METRICS_TOKEN = env.secret("METRICS_TOKEN")
API_RATE = env.text("API_RATE")  # e.g. "600/minute" per access key; empty: no limit

# --- REST API ---

REST_FRAMEWORK: dict[str, Any] = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["moderation.api.auth.BearerAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["rest_framework.parsers.JSONParser", "rest_framework.parsers.MultiPartParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "moderation.api.errors.problem_details",
    "UNAUTHENTICATED_USER": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Second Look",
    "DESCRIPTION": "Content moderation with human review: submissions, labels, verdicts.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "COMPONENT_SPLIT_REQUEST": True,
    "OAS_VERSION": "3.1.0",  # 3.0 cannot say "this object or null"
    "ENUM_NAME_OVERRIDES": {
        "SubmissionSource": "moderation.models.submission.Submission.Source",
        "SubmissionStatus": "moderation.models.submission.Submission.Status",
        "VerdictSource": "moderation.models.submission.Verdict.Source",
    },
}

# --- language, time, logs ---

LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("de", "Deutsch")]
LOCALE_PATHS = [BASE_DIR / "locale"]
TIME_ZONE = "UTC"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "{asctime} {levelname} {name} {message}", "style": "{"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": env.text("LOG_LEVEL", "INFO")},
    "loggers": {
        "django.request": {"level": "ERROR"},
        "celery": {"level": "WARNING"},
        "botocore": {"level": "WARNING"},
    },
}
