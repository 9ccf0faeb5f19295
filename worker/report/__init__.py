"""What a person reads when a job has ended."""
