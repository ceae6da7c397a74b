"""`hotlead start`: from an export to the first list of calls, and the page at its end."""
