"""What is made for a release: the lock, the licences, the bill of materials, and one folder with all of it."""
