"""History as others store it: files and answers of theirs, read as runs of one series. `app.importing` stores them."""
