"""What is derived from a value of a lead: the kind of a mail domain, a job's rank, bands, lists, n-grams."""
