"""The pictures of the sample world: drawn, not photographed."""
