#!/usr/bin/env python
"""Run Second Look's management commands, with the embedded servers where no others are named."""

import os
import sys

from django.core.management import execute_from_command_line

from moderation.embedded import servers_for

if __name__ == "__main__":
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "moderation.settings")
    with servers_for(sys.argv):
        execute_from_command_line(sys.argv)
