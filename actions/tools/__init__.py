"""One wrapper per external program; the only place that starts processes."""
