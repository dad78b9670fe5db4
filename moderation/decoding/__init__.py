"""Bytes in, frames out: what may be a picture, how large it may be, and its pixels the right way up."""
