"""``make bench``: our speed and memory beside a yardstick's, in one run, as medians."""
