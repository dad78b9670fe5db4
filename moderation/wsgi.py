"""The WSGI entry point that the web server loads."""

import os
import threading

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moderation.settings")

application = get_wsgi_application()

from moderation import detection  # noqa: E402  (needs the settings)

# Beside the first requests, so that the server answers at once and the first picture does not wait for the networks.
threading.Thread(target=detection.warm_up, name="warm-up", daemon=True).start()
