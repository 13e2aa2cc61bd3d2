from profiles.models.customers import Customer, Link, Subject, Tie, Untied
from profiles.models.events import Arrival, Batch, Event, FormerReading, Original, Tally

__all__ = ["Arrival", "Batch", "Customer", "Event", "FormerReading", "Link", "Original", "Subject", "Tally", "Tie", "Untied"]
