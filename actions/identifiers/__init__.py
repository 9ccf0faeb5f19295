"""The voices that say what a file is: one module per identifier, each answering ``heard.Heard``."""
