"""What comparisons share: text, pixels and evidence pictures. Knows no format and no action."""
