"""Reading a CRM, and computing the features of leads as of a moment."""
