"""Model selection without target labels."""
