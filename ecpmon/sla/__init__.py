"""Pure SLA arithmetic: spans, windows, error budget, burn rate, incidents. `now` is always an argument."""
