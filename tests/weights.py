"""Where tests keep the converted weights: one folder for all parallel workers of a run."""

import os
import tempfile
from pathlib import Path


def folder() -> Path:
    """Made by the run's servers and removed with them, or in the system's folder for temporary files."""
    home = os.environ.get("SECOND_LOOK_TEST_HOME")
    return Path(home or Path(tempfile.gettempdir()) / f"second-look-{os.getuid()}") / "weights"
