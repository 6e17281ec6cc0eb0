"""What scripts import from beside the original's `api`: specs, graphs and settings."""
