"""`bookstream verify`: the proof rule, held against streams."""
