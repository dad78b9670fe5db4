"""The AWS-compatible face: unmodified AWS clients, their signatures, their errors."""
