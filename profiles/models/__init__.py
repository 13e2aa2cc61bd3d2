from profiles.models.customers import Customer, Link, Subject, Tie, Untied
from profiles.models.events import Arrival, Batch, Event, Original, Tally

__all__ = ["Arrival", "Batch", "Customer", "Event", "Link", "Original", "Subject", "Tally", "Tie", "Untied"]
