"""What arrives and is not in the standard."""
