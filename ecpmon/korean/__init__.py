"""What is told in Korean to whoever asks for it: a sentence for each error code, and texts by their English ones."""
