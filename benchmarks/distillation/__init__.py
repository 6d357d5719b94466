"""Many steps against few: what a distilled student keeps of its teacher, clip by clip."""
