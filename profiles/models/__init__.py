from profiles.models.customers import Customer, Link, Subject, Tie
from profiles.models.events import Batch, Event, Original, Tally

__all__ = ["Batch", "Customer", "Event", "Link", "Original", "Subject", "Tally", "Tie"]
