"""The deployment simulator: a deterministic cluster model and the process that serves it."""
