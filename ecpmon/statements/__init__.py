"""Monthly statements: when they are closed and restated, and how they are shown (CSV, HTML, PDF)."""
