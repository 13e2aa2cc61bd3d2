"""The data dictionary: the released standard as pages that need no training to read."""
