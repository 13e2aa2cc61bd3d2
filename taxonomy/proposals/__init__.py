"""From a change to its release: proposed, weighed, discussed, signed, told."""
