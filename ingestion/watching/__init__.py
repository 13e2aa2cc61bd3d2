"""How what arrives is doing: counted, judged, told."""
