"""Many scenes, whoever makes them: attempts, retries, the record of a run, its progress and its status."""
