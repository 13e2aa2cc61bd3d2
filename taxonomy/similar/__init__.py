"""Names that mean the same, found before there are two."""
