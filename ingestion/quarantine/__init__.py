"""What is held: why, since when, who sees to it, and how it is let in."""
