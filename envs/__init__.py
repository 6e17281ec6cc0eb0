"""Gymnasium environments over a task."""
