"""Side-by-side measurements: `make bench`. Ratios of one run count; absolute figures belong to the machine."""
