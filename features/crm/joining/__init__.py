"""Joining the tables of a CRM: ids in several forms, and the deals of each lead."""
