"""What the workers of a pool are forked from: Django set up, no thread, no connection (see `ingestion.pool`)."""

import gc

import django

django.setup()
gc.freeze()  # so that the workers' collectors touch none of what they share
