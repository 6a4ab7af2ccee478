"""Compression: in what form values cross; a file a codec."""
