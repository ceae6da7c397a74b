"""How an export writes times and numbers: the forms that crm.toml names, reading them, and finding them; and
how Hotlead writes CSV."""
