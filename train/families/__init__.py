"""Families of recognisers, one file or folder each, behind the interface that all share."""
