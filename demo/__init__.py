"""The CRM of a fictional Japanese B2B software company, with its true win probabilities."""
