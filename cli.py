"""The `hotlead` command."""
