"""What was known about a lead at a moment: reading a CRM, the feature table, moments, the audit."""
