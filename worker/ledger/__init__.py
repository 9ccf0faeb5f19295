"""The index of what happened: jobs, tasks, files, chained events."""
