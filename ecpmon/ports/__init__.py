"""The Protocols between layers, and the values that only they exchange."""
