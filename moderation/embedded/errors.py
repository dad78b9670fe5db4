"""What can go wrong with the embedded servers, said so that a person can act on it."""


class EmbeddedError(RuntimeError):
    """An embedded server could not be started or reached; the text is meant for the terminal."""
