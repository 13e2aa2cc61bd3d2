"""Webhooks out: what subscribers are told, and how they are called."""
