"""Real sensor logs as data sets: recorded pictures, calibration and labels in the store that `generate` writes."""
