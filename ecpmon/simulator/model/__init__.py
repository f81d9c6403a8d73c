"""The pure core of the simulator: no I/O, no clock reads, no global randomness.

Time inside the model is an `int`: microseconds since the Unix epoch, UTC. Whole microseconds make
transition instants exact, so that the truth does not depend on how often somebody looks.
States are values: `step` and the commands return a new state and leave the old one as it was.
"""
