"""Evidence for decades: each day's histories gathered into a signed tree, so that a change of the past can be proven offline."""
