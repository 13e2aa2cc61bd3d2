"""What becomes of events after they were accepted: taken back, merged, read anew."""
