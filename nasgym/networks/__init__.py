"""Rooms of nasgym."""
