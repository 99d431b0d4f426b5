"""LinkRecords: what one says, what it may become, and whose business it is."""
