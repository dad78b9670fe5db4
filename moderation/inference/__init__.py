"""Arrays in, findings out: the networks, what their outputs say in the taxonomy's words, and the engines."""

import os

# Read once, when torch loads its thread pool. By default its threads spin while they wait for one another, which is
# ruinous as soon as anything else wants the same cores: on a busy machine with two, a picture took 4 s instead of 0.15.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
