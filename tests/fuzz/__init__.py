"""Hostile input of every kind, seeded: what comes in, what comes back, and what must never come out."""
