"""Arrays in, findings out: the networks, what their outputs say in the taxonomy's words, and the engines."""
