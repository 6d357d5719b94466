"""The ray caster in tensors: the same rays as the compiled one, many at a time, on any device that torch knows."""
